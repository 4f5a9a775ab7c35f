// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/user_namespace.hpp>
#include <string>
#include <vector>

namespace cloud::kvm {

struct VirtiofsOrder {
  std::string program;  ///< virtiofsd
  std::string socket;   ///< made here, for the machine's QEMU alone to connect to
  int folder = -1;      ///< O_PATH, opened with the user's rights
  bool read_only = false;
};

/// The servers that this process has started. Each serves one folder with the rights of the job's
/// user and no others: in a user namespace where the user is themselves and all else is of the
/// machine's own range. One ends by itself with the QEMU that has connected to it; one that nobody
/// has connected to waits for ever.
class VirtiofsServers {
 public:
  /// `qemu`: whose QEMU connects. `place` is told of each, a child of this process. Throws
  /// sdk::Failure; what was started until then is left to end().
  void start(const std::string& machine, const std::vector<VirtiofsOrder>& orders, uid_t qemu,
             const sdk::UserNamespace& user_namespace, const std::function<void(pid_t)>& place);
  /// The last line that one of the machine's has said, or "".
  [[nodiscard]] std::string last_words(const std::string& machine) const;
  /// Kills those of the machine; one that has not ended at the deadline, or 0.
  pid_t end(const std::string& machine, sdk::Deadline deadline) noexcept;

 private:
  struct Server {
    std::string machine;
    pid_t pid = 0;
    sdk::Descriptor words;
  };
  std::vector<Server> servers_;
};

}  // namespace cloud::kvm
