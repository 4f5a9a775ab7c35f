// SPDX-License-Identifier: Apache-2.0
//
// A backend without a hypervisor: the shortest complete one to read before writing your own, and
// the fault injector of the tests. Its machines are files:
//
//   <work_dir>/state     "prepared", or "running READY" (CLOCK_MONOTONIC ns at which it is ready)
//   <registry>/<name>    the mark by which list() finds it; holds the work directory
//
// The mark comes first and goes last, so that list() finds whatever a killed process left. A
// machine without a mark is absent, whatever its work directory holds: the registry is below /run,
// and no machine outlives a boot of the node.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <spank-cloud/backend.hpp>
#include <string>
#include <string_view>

namespace cloud_null {
namespace {

namespace fs = std::filesystem;
using cloud::sdk::Deadline;
using cloud::sdk::Failure;
using cloud::sdk::Host;
using cloud::sdk::Progress;
using cloud::sdk::Settings;
using cloud::sdk::system_failure;

constexpr const char* kRegistry = "/run/spank-cloud/null";
constexpr std::int64_t kMillisecond = 1000000;
constexpr std::array<std::string_view, 9> kCalls = {
    "open", "probe", "prepare", "start", "wait_ready", "info", "stop", "destroy", "list"};

constexpr cloud_option kOptions[] = {
    {"registry", CLOUD_STRING, 0, kRegistry, "The folder in which every machine has a mark."},
    {"boot_ms", CLOUD_INT, 0, "0", "Milliseconds from start until a machine is ready."},
    {"fail_at", CLOUD_STRING, 0, nullptr, "The call that shall fail halfway, such as \"start\"."},
    {"hang_at", CLOUD_STRING, 0, nullptr,
     "The call that shall last until its deadline, or where it has none until the job is "
     "cancelled."},
    {"crash_at", CLOUD_STRING, 0, nullptr, "The call halfway through which the process shall die."},
};

std::string call_name(const Settings& settings, std::string_view key) {
  auto name = settings.string(key, "");
  if (!name.empty() && std::find(kCalls.begin(), kCalls.end(), name) == kCalls.end()) {
    throw settings.wrong(
        key, "'" + std::string{key} + "' shall be the name of a call, not '" + name + "'");
  }
  return name;
}

// Where new content is written first: a process that is killed leaves it.
fs::path scratch_of(const fs::path& path) {
  return path.parent_path() / ("." + path.filename().string() + ".new");
}

// A reader in another process sees the old content or the new, never a part.
void write_whole(const fs::path& path, const std::string& content) {
  const auto scratch = scratch_of(path);
  std::ofstream file{scratch, std::ios::trunc};
  file << content << '\n' << std::flush;
  if (!file) throw system_failure(CLOUD_E_NODE, "write " + scratch.string(), errno);
  std::error_code problem;
  fs::rename(scratch, path, problem);
  if (problem) throw system_failure(CLOUD_E_NODE, "replace " + path.string(), problem.value());
}

void remove_tree(const fs::path& path) {
  std::error_code problem;
  fs::remove_all(path, problem);
  if (problem) throw system_failure(CLOUD_E_NODE, "remove " + path.string(), problem.value());
}

class NullBackend {
 public:
  NullBackend(Host host, Settings settings)
      : host_{host},
        registry_{settings.string("registry", kRegistry)},
        boot_ms_{settings.integer("boot_ms", 0)},
        fail_at_{call_name(settings, "fail_at")},
        hang_at_{call_name(settings, "hang_at")},
        crash_at_{call_name(settings, "crash_at")} {
    if (!registry_.is_absolute()) {
      throw settings.wrong("registry", "'registry' shall be an absolute path");
    }
    if (boot_ms_ < 0 || boot_ms_ > 86400000) {
      throw settings.wrong("boot_ms", "'boot_ms' shall be 0 to 86400000");
    }
    inject("open");
  }

  // It reads no image, so any will do.
  static constexpr const char* image_formats = "directory squashfs raw qcow2 kernel";

  void probe() { inject("probe"); }

  void prepare(const cloud_machine_spec& spec) {
    const auto mark = mark_of(spec.name);
    std::error_code problem;
    fs::create_directories(registry_, problem);
    if (problem) throw system_failure(CLOUD_E_NODE, "make " + registry_.string(), problem.value());
    write_whole(mark, spec.work_dir);
    inject("prepare");
    write_whole(state_file(spec.work_dir), "prepared");
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    const auto state = read_state(spec.name, spec.work_dir);
    if (state.is == CLOUD_ABSENT) {
      throw Failure{CLOUD_E_NOT_FOUND, "machine '" + std::string{spec.name} + "' is not prepared"};
    }
    if (state.is != CLOUD_PREPARED) {
      throw Failure{CLOUD_E_NODE, "machine '" + std::string{spec.name} + "' runs already"};
    }
    const auto ready_at = Deadline::now() + boot_ms_ * kMillisecond;
    write_whole(state_file(spec.work_dir), "running " + std::to_string(ready_at));
    inject("start", &deadline);
    host_.log(CLOUD_DEBUG, "machine '" + std::string{spec.name} + "' runs in " + spec.work_dir);
  }

  void wait_ready(const cloud_machine_ref& ref, Deadline deadline, const Progress& progress) {
    const auto state = read_state(ref.name, ref.work_dir);
    if (state.is == CLOUD_ABSENT) {
      throw Failure{CLOUD_E_NOT_FOUND, "no machine '" + std::string{ref.name} + "'"};
    }
    if (state.is == CLOUD_PREPARED) {
      throw Failure{CLOUD_E_NODE, "machine '" + std::string{ref.name} + "' does not run"};
    }
    progress("booting");
    inject("wait_ready", &deadline);
    while (Deadline{state.ready_at}.remaining() > 0) {
      const auto left_ms = Deadline{state.ready_at}.remaining() / kMillisecond + 1;
      deadline.pause(host_, left_ms, "wait for machine '" + std::string{ref.name} + "'");
    }
    progress("ready");
  }

  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    inject("info");
    out.state = read_state(ref.name, ref.work_dir).is;
  }

  void stop(const cloud_machine_ref& ref, Deadline deadline) {
    inject("stop", &deadline);
    const auto state = read_state(ref.name, ref.work_dir).is;
    if (state == CLOUD_ABSENT || state == CLOUD_PREPARED) return;
    write_whole(state_file(ref.work_dir), "prepared");
  }

  void destroy(const cloud_machine_ref& ref, Deadline deadline) {
    const auto mark = mark_of(ref.name);
    const fs::path work_dir{ref.work_dir};
    if (work_dir.is_absolute() && fs::is_directory(work_dir)) {
      for (const auto& entry : fs::directory_iterator{work_dir}) remove_tree(entry.path());
    }
    inject("destroy", &deadline);
    remove_tree(scratch_of(mark));
    remove_tree(mark);
  }

  void list(const std::function<void(const std::string&)>& visit) {
    inject("list");
    if (!fs::is_directory(registry_)) return;
    for (const auto& entry : fs::directory_iterator{registry_}) {
      const auto name = entry.path().filename().string();
      if (name.front() != '.') visit(name);
    }
  }

 private:
  struct State {
    cloud_state is = CLOUD_ABSENT;
    std::int64_t ready_at = 0;
  };

  [[nodiscard]] fs::path mark_of(const char* name) const { return registry_ / name; }
  [[nodiscard]] static fs::path state_file(const char* work_dir) {
    return fs::path{work_dir} / "state";
  }

  [[nodiscard]] State read_state(const char* name, const char* work_dir) const {
    if (!fs::exists(mark_of(name))) return {};
    std::ifstream file{state_file(work_dir)};
    std::string word;
    State state;
    file >> word;
    if (word == "prepared") {
      state.is = CLOUD_PREPARED;
    } else if (word == "running" && file >> state.ready_at) {
      state.is = Deadline{state.ready_at}.expired() ? CLOUD_RUNNING : CLOUD_STARTING;
    }
    return state;
  }

  void inject(std::string_view call, const Deadline* deadline = nullptr) const {
    const auto text = std::string{call} + "()";
    // As a power cut or the OOM killer does it: no handler of the engine's and no destructor runs.
    if (crash_at_ == call) ::kill(::getpid(), SIGKILL);
    if (fail_at_ == call) throw Failure{CLOUD_E_NODE, text + " fails as 'fail_at' asks"};
    if (hang_at_ != call) return;
    constexpr auto kNever = INT64_MAX;
    const auto until = deadline != nullptr ? *deadline : Deadline{kNever};
    for (;;) until.pause(host_, 100, text + " hangs as 'hang_at' asks");
  }

  Host host_;
  fs::path registry_;
  std::int64_t boot_ms_;
  std::string fail_at_;
  std::string hang_at_;
  std::string crash_at_;
};

}  // namespace
}  // namespace cloud_null

CLOUD_BACKEND(cloud_null::NullBackend, "null", CLOUD_VERSION, 0, cloud_null::kOptions);
