// SPDX-License-Identifier: Apache-2.0
//
// Takes the job's user into the job's machine. As a task, Slurm executes it in the place of the
// user's command, which is then in SLURM_CLOUD_COMMAND; by hand, through the link `access` in a
// job's folder, `access [COMMAND...]`, or `enter --dir DIR -- [COMMAND...]`. It has no privilege:
// the kernel lets the owner of a user namespace in, and nobody else.
#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tools/machine_entry.hpp"
#include "tools/ssh_entry.hpp"

namespace {

constexpr int kNotStarted = 125;

[[noreturn]] void refuse(const std::string& reason) {
  std::fprintf(stderr, "spank_cloud: error: %s\n", reason.c_str());
  std::exit(kNotStarted);
}

std::string current_directory() {
  char buffer[PATH_MAX];
  return ::getcwd(buffer, sizeof buffer) == nullptr ? std::string{"/"} : std::string{buffer};
}

std::string content_of(const std::string& file) {
  std::ifstream open{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{open}, {}};
}

// The user's shell, where the machine has it.
char kShell[] = "/bin/sh";
char kRunShell[] = "-c";
char kPreferredShell[] = R"([ -x "$0" ] && exec "$0"; exec /bin/sh)";

std::string shell() {
  const char* wanted = std::getenv("SHELL");
  return wanted == nullptr ? "/bin/sh" : wanted;
}

}  // namespace

// The folder of the name by which we were executed, where that is the link `access`.
std::string folder_of_access() {
  constexpr std::string_view kName = "/access";
  // NOLINTNEXTLINE(performance-no-int-to-ptr): getauxval(3) has no other type
  const auto* path = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  const std::string_view name{path == nullptr ? "" : path};
  if (name == kName.substr(1)) return ".";
  return name.ends_with(kName) ? std::string{name.substr(0, name.size() - kName.size())} : "";
}

int main(int argc, char** argv) {
  std::string dir;
  std::string command;
  std::string script;
  std::vector<char*> arguments;
  auto wanted_shell = shell();
  if (const char* task = std::getenv("SLURM_CLOUD_COMMAND")) {
    const char* where = std::getenv("SLURM_CLOUD_DIR");
    if (where == nullptr) {
      refuse(
          "this node's slurmd has no spank_cloud plugin (plugstack.conf): the task was not started "
          "on "
          "the bare host; tell the administrators");
    }
    command = task;
    dir = where;
    if (std::getenv("SLURM_CLOUD_SCRIPT") != nullptr) script = cloud::open_script(command);
    ::unsetenv("SLURM_CLOUD_COMMAND");
    ::unsetenv("SLURM_CLOUD_SCRIPT");
    ::unsetenv("SLURM_CLOUD_DIR");
    arguments.assign(argv, argv + argc);
    arguments.front() = command.data();
  } else if (dir = folder_of_access(); !dir.empty()) {
    // As `cloudctl enter` and others want it.
    const int first = argc > 1 && std::string_view{argv[1]} == "--" ? 2 : 1;
    arguments.assign(argv + first, argv + argc);
    if (arguments.empty()) {
      arguments = {kShell, kRunShell, kPreferredShell, wanted_shell.data()};
    }
    command = arguments.front();
  } else if (argc == 2 && std::string_view{argv[1]} == "--version") {
    std::puts(CLOUD_VERSION);
    return 0;
  } else if (argc >= 4 && std::string_view{argv[1]} == "--dir" &&
             std::string_view{argv[3]} == "--") {
    dir = argv[2];
    arguments.assign(argv + 4, argv + argc);
    if (arguments.empty()) {
      arguments = {kShell, kRunShell, kPreferredShell, wanted_shell.data()};
    }
    command = arguments.front();
  } else {
    refuse("usage: enter --dir DIR -- [COMMAND [ARGUMENT...]]");
  }
  arguments.push_back(nullptr);
  const auto directory = current_directory();
  const auto state = cloud::wait_until_ready(dir);
  if (!state) refuse(state.error().message);
  // What runs in there is in the user's hands, and would have the rights of whoever came.
  if (state->uid != ::geteuid()) {
    refuse("this machine is another user's, with uid " + std::to_string(state->uid) +
           ": only the job's user can enter it");
  }
  if (state->entry == cloud::MachineEntry::ssh) {
    cloud::run_over_ssh(*state, dir,
                        {{arguments.begin(), arguments.end() - 1},
                         directory,
                         script.empty() ? "" : content_of(script)});
  }
  if (auto joined = cloud::join_machine(*state); !joined) refuse(joined.error().message);
  if (!script.empty()) command = script;
  cloud::run_in_machine(command.c_str(), arguments.data(), directory);
}
