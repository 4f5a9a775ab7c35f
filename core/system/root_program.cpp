// SPDX-License-Identifier: Apache-2.0
#include "core/system/root_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

namespace cloud {

Result<pid_t> start_root_program(const std::vector<std::string>& argv, int connection) {
  constexpr int kConnection = 3;
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* const environment[] = {path, nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  // Before the numbers below 3 are taken: it may have one of them.
  if (connection >= 0) ::posix_spawn_file_actions_adddup2(&actions, connection, kConnection);
  for (const int fd : {0, 1, 2}) {
    ::posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  }
  ::posix_spawn_file_actions_addclosefrom_np(&actions, kConnection + (connection >= 0 ? 1 : 0));
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int problem =
      ::posix_spawn(&pid, argv.front().c_str(), &actions, &attributes, words.data(), environment);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (problem != 0) return os_error(Blame::node, "run " + argv.front(), problem);
  return pid;
}

}  // namespace cloud
