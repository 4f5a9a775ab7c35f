// SPDX-License-Identifier: Apache-2.0
//
// libvirtd is not ours: it may be down, restart, hang or be slow. Each question is asked by a child
// process with a connection of its own and a deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <spank-cloud/backend.hpp>
#include <string>
#include <vector>

// libvirt's own name; its header stays out of this one.
struct _virConnect;  // NOLINT(bugprone-reserved-identifier)

namespace cloud::kvm {

struct NewDomain {
  std::string name;
  std::string xml;
  std::string mark;  ///< path of a file that is there while libvirtd is asked and has not answered
};

class LibvirtDaemon {
 public:
  explicit LibvirtDaemon(std::string uri) : uri_{std::move(uri)} {}

  /// All throw sdk::Failure: CLOUD_E_NODE where libvirtd is out of reach, with its own words,
  /// CLOUD_E_TIMEOUT at the deadline, CLOUD_E_CANCELLED where `host` says so.

  /// Its version, as "9.0.0".
  [[nodiscard]] std::string version(sdk::Deadline deadline) const;
  /// Starts a transient domain whose processors do not run yet. A domain of that name that is there
  /// already is refused, whosever it is.
  void create_paused(const NewDomain& wanted, sdk::Deadline deadline, const sdk::Host& host) const;
  void resume(const std::string& name, sdk::Deadline deadline, const sdk::Host& host) const;
  /// Asks a domain of ours to shut down; false where there is none of that name.
  bool shut_down(const std::string& name, sdk::Deadline deadline, const sdk::Host& host) const;
  /// Ends a domain of ours and forgets it; false where there is none of that name. Throws
  /// CLOUD_E_INTERNAL where it is not ours.
  bool destroy(const std::string& name, sdk::Deadline deadline) const;
  /// The names of the domains that carry our mark, and of those of `remembered` that libvirt knows
  /// no domain of.
  [[nodiscard]] std::vector<std::string> list(const std::vector<std::string>& remembered,
                                              sdk::Deadline deadline) const;

 private:
  std::string ask(const std::string& what, const std::function<std::string(_virConnect*)>& question,
                  sdk::Deadline deadline, const sdk::Host* host, int attempts) const;

  std::string uri_;
};

}  // namespace cloud::kvm
