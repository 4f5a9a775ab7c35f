// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/footprint.hpp"

#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace cloud {
namespace {

namespace fs = std::filesystem;

std::size_t entries_of(const char* folder) {
  std::error_code problem;
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator{folder, problem}, fs::directory_iterator{}));
}

std::string link_of(const char* path) {
  std::error_code problem;
  return fs::read_symlink(path, problem).string();
}

std::string octal(unsigned value) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", value);
  return text;
}

std::string disposition(int number) {
  struct sigaction action {};
  if (::sigaction(number, nullptr, &action) != 0) return {};
  if (action.sa_handler == SIG_DFL) return "the default";
  if (action.sa_handler == SIG_IGN) return "ignored";
  std::ostringstream text;
  text << "a handler at " << reinterpret_cast<void*>(action.sa_handler);
  return text.str();
}

std::string blocked_signals() {
  sigset_t mask;
  ::sigprocmask(SIG_BLOCK, nullptr, &mask);
  std::string text;
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (::sigismember(&mask, number) == 1) text += " " + std::to_string(number);
  }
  return text.empty() ? "empty" : "of" + text;
}

std::string file_behind(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return "closed";
  return "file " + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

std::string children_of_process() {
  std::ifstream file{"/proc/self/task/" + std::to_string(::getpid()) + "/children"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::string environment_text() {
  std::string text;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    text += *variable;
    text += ' ';
  }
  return text;
}

}  // namespace

Footprint Footprint::now() {
  Footprint print;
  const auto mask = ::umask(0);
  ::umask(mask);
  print.traits_ = {{"the working directory", link_of("/proc/self/cwd")},
                   {"the root directory", link_of("/proc/self/root")},
                   {"the umask", octal(mask)},
                   {"the environment", environment_text()},
                   {"the signal mask", blocked_signals()},
                   {"the effective uid", std::to_string(::geteuid())},
                   {"the mount namespace", link_of("/proc/self/ns/mnt")},
                   {"the network namespace", link_of("/proc/self/ns/net")}};
  for (int fd = 0; fd <= 2; ++fd) {
    print.traits_.push_back({"descriptor " + std::to_string(fd), file_behind(fd)});
  }
  for (int number = 1; number <= SIGRTMAX; ++number) {
    print.traits_.push_back(
        {"the disposition of signal " + std::to_string(number), disposition(number)});
  }
  print.threads_ = entries_of("/proc/self/task");
  return print;
}

std::string Footprint::difference(const Footprint& later) const {
  for (std::size_t i = 0; i < traits_.size(); ++i) {
    const auto& before = traits_[i];
    const auto& after = later.traits_[i];
    if (before.value == after.value) continue;
    if (before.what == "the environment") return "the environment has changed";
    return before.what + " was " + before.value + " and is " + after.value;
  }
  return {};
}

std::string Footprint::left_running(const Footprint& later) const {
  if (later.threads_ > threads_) {
    return std::to_string(later.threads_ - threads_) + " threads more than before";
  }
  return {};
}

Consumption Consumption::now() {
  Consumption now;
  const auto heap = ::mallinfo2();
  now.heap_bytes = heap.uordblks + heap.hblkhd;
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kKey = "RssAnon:";
    if (line.starts_with(kKey)) {
      now.resident_bytes = std::stoul(line.substr(kKey.size())) << 10;
    }
  }
  now.descriptors = entries_of("/proc/self/fd");
  now.threads = entries_of("/proc/self/task");
  std::istringstream children{children_of_process()};
  now.children =
      static_cast<std::size_t>(std::distance(std::istream_iterator<std::string>{children}, {}));
  return now;
}

}  // namespace cloud
