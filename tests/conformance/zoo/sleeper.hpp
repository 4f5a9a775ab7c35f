// SPDX-License-Identifier: Apache-2.0
//
// A backend that keeps all its promises and whose machines are a process that sleeps. Each file
// beside this one breaks one promise:
//
//   class Wrong : public zoo::Sleeper {
//    public:
//     using Sleeper::Sleeper;
//     void probe() { ... }
//   };
//   ZOO_BACKEND(Wrong, "its_file_name", 0)
#ifndef SPANK_CLOUD_ZOO_SLEEPER_HPP
#define SPANK_CLOUD_ZOO_SLEEPER_HPP

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string>
#include <string_view>

namespace zoo {

namespace fs = std::filesystem;
using cloud::sdk::Deadline;
using cloud::sdk::Failure;
using cloud::sdk::Host;
using cloud::sdk::Progress;
using cloud::sdk::Settings;

constexpr cloud_option kOptions[] = {
    {"registry", CLOUD_STRING, 1, nullptr, "The folder in which every machine has a mark."}};
constexpr std::int64_t kBootMs = 60;

/// The process of a machine, as its work directory remembers it.
struct Sleep {
  pid_t pid = 0;
  std::string began;  ///< field 22 of its stat

  static std::string stat_of(pid_t pid, int field) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string word;
    while (file >> word && word.find(')') == std::string::npos) {
    }
    for (int at = 2; at < field; ++at) file >> word;
    return word;
  }
  [[nodiscard]] bool lives() const {
    return pid > 0 && stat_of(pid, 22) == began && stat_of(pid, 3) != "Z";
  }
};

class Sleeper {
 public:
  Sleeper(Host host, Settings settings) : host_{host}, registry_{settings.string("registry", "")} {}
  virtual ~Sleeper() = default;

  void probe() {}

  void prepare(const cloud_machine_spec& spec) {
    fs::create_directories(registry_);
    std::ofstream{registry_ / spec.name} << spec.work_dir << '\n';
  }

  void start(const cloud_machine_spec& spec, Deadline deadline) {
    if (!fs::exists(registry_ / spec.name)) throw Failure{CLOUD_E_NOT_FOUND, "it is not prepared"};
    if (sleep_of(spec.work_dir).lives()) throw Failure{CLOUD_E_NODE, "it runs already"};
    deadline.pause(host_, 0, "start");
    spawn(spec);
  }

  void wait_ready(const cloud_machine_ref& ref, Deadline deadline, const Progress& progress) {
    if (!sleep_of(ref.work_dir).lives()) throw Failure{CLOUD_E_NODE, "it does not run"};
    progress("falling asleep");
    const Deadline ready{Deadline::now() + kBootMs * 1000000};
    while (!ready.expired()) deadline.pause(host_, 10, "wait");
  }

  void info(const cloud_machine_ref& ref, cloud_machine_info& out) {
    const auto sleep = sleep_of(ref.work_dir);
    out.state = sleep.lives() ? CLOUD_RUNNING : CLOUD_PREPARED;
    out.main_pid = sleep.lives() ? sleep.pid : 0;
  }

  void stop(const cloud_machine_ref& ref, Deadline deadline) {
    const auto sleep = sleep_of(ref.work_dir);
    if (!sleep.lives()) return;
    deadline.pause(host_, 0, "stop");
    ::kill(sleep.pid, SIGTERM);
    while (sleep.lives()) deadline.pause(host_, 5, "stop");
    ::waitpid(sleep.pid, nullptr, WNOHANG);
  }

  void destroy(const cloud_machine_ref& ref, Deadline) {
    end(sleep_of(ref.work_dir));
    fs::remove(registry_ / ref.name);
  }

  void list(const std::function<void(const std::string&)>& visit) {
    if (!fs::is_directory(registry_)) return;
    for (const auto& mark : fs::directory_iterator{registry_}) {
      visit(mark.path().filename().string());
    }
  }

 protected:
  static Sleep sleep_of(const std::string& work_dir) {
    Sleep sleep;
    std::ifstream{work_dir + "/process"} >> sleep.pid >> sleep.began;
    return sleep;
  }
  static void end(const Sleep& sleep) {
    if (!sleep.lives()) return;
    ::kill(sleep.pid, SIGKILL);
    while (sleep.lives()) ::usleep(1000);
    ::waitpid(sleep.pid, nullptr, WNOHANG);
  }
  virtual void place(const cloud_machine_spec& spec, pid_t pid) {
    host_.place(std::string{spec.cgroup} + "/machine", pid);
  }
  /// In the machine's process, before it sleeps.
  virtual void become(const cloud_machine_spec& /*unused*/) {}

  Host host_;
  fs::path registry_;

 private:
  // Remembered and placed before it does anything, and asleep when this returns: what a check sees
  // of it does not depend on how busy the host is.
  void spawn(const cloud_machine_spec& spec) {
    int ends[2];
    int asleep[2];  // is closed when the program is executed
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Failure{CLOUD_E_NODE, "pipe", errno};
    if (::pipe2(asleep, O_CLOEXEC) != 0) throw Failure{CLOUD_E_NODE, "pipe", errno};
    const cloud::sdk::Descriptor is_asleep{asleep[0]};
    cloud::sdk::Descriptor until_asleep{asleep[1]};
    const cloud::sdk::Descriptor go{ends[0]};
    cloud::sdk::Descriptor say{ends[1]};
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::close(ends[1]);
      ::setsid();
      char byte = 0;
      // Nobody is there to say go: whoever started us was killed.
      if (::read(ends[0], &byte, 1) != 1) ::_exit(1);
      become(spec);
      ::execl("/bin/sleep", "sleep", "600", nullptr);
      ::_exit(127);
    }
    place(spec, pid);
    std::ofstream{std::string{spec.work_dir} + "/process"} << pid << ' ' << Sleep::stat_of(pid, 22)
                                                           << '\n';
    if (::write(ends[1], "g", 1) != 1) throw Failure{CLOUD_E_NODE, "write", errno};
    until_asleep = cloud::sdk::Descriptor{};
    char nothing = 0;
    while (::read(is_asleep.value(), &nothing, 1) < 0 && errno == EINTR) {
    }
  }
};

}  // namespace zoo

#define ZOO_BACKEND(Type, name, capabilities) \
  CLOUD_BACKEND(Type, name, "1", capabilities, zoo::kOptions)
/// With one entry of the table put in by hand, where the SDK would not let it be wrong.
#define ZOO_BACKEND_WITH(Type, name, capabilities, change)                                     \
  extern "C" const cloud_backend_v1* cloud_backend_entry_v1() {                                \
    static const auto api = [] {                                                               \
      auto table = cloud::sdk::detail::table<Type>(name, "1", capabilities, zoo::kOptions, 1); \
      change;                                                                                  \
      return table;                                                                            \
    }();                                                                                       \
    return &api;                                                                               \
  }

#endif
