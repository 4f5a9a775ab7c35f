// SPDX-License-Identifier: Apache-2.0
//
// Takes the job's user into the job's machine. As a task, Slurm executes it in the place of the
// user's command, which is then in SLURM_CLOUD_COMMAND; by hand, through the link `access` in a
// job's folder, `access [COMMAND...]`, or `enter --dir DIR -- [COMMAND...]`. It has no privilege: a
// virtual machine is entered through ssh, and into a container it is taken by `escort`.
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "enter/machine_wait.hpp"
#include "enter/namespace_entry.hpp"
#include "enter/ssh_entry.hpp"

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

// Of a batch script; "" of none.
std::string content_of(int script) {
  if (script < 0) return {};
  std::ifstream open{"/proc/self/fd/" + std::to_string(script), std::ios::binary};
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

// The connection to the task's own escort; -1 where Slurm's plugin has started none.
int escort_of_task() {
  const char* number = std::getenv("SLURM_CLOUD_ESCORT");
  if (number == nullptr) return -1;
  int fd = -1;
  const std::string_view text{number};
  std::from_chars(text.data(), text.data() + text.size(), fd);
  ::unsetenv("SLURM_CLOUD_ESCORT");
  return ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

int main(int argc, char** argv) {
  std::string dir;
  std::string command;
  int script = -1;
  int escort = -1;
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
    // It stays open in the task: the interpreter reads from it.
    if (std::getenv("SLURM_CLOUD_SCRIPT") != nullptr) script = ::open(task, O_RDONLY);
    escort = escort_of_task();
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
  const auto directory = current_directory();
  const auto state = cloud::wait_until_ready(dir);
  if (!state) refuse(state.error().message);
  // What runs in there is in the user's hands, and would have the rights of whoever came.
  if (state->uid != ::geteuid()) {
    refuse("this machine is another user's, with uid " + std::to_string(state->uid) +
           ": only the job's user can enter it");
  }
  if (state->entry == cloud::MachineEntry::ssh) {
    if (escort >= 0) ::close(escort);
    cloud::run_over_ssh(*state, dir,
                        {{arguments.begin(), arguments.end()}, directory, content_of(script)});
  }
  if (state->entry != cloud::MachineEntry::namespaces) {
    refuse("tasks cannot run inside this machine of type " + state->type +
           (state->reason.empty() ? "" : " (" + state->reason + ")") + ": use --cloud-run=host");
  }
  cloud::run_in_namespaces(dir, escort, {{arguments.begin(), arguments.end()}, directory}, script);
}
