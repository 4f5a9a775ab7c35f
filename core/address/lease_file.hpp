// SPDX-License-Identifier: Apache-2.0
//
// The lease file that sites already have:
//
//   #IP;SLURM_JOB_ID;USED
//   192.168.0.1;21815278;USED
//   192.168.0.2;;
//
// Comments, blank lines, order, line ends (LF or CRLF) and foreign lines survive every change.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/diagnostic.hpp"
#include "core/error.hpp"

namespace cloud {

struct Lease {
  std::string address;
  std::uint64_t job_id = 0;  ///< 0 when free
  std::uint32_t line = 0;
};

/// The file's text with its leases found. Pure.
class LeaseTable {
 public:
  explicit LeaseTable(const std::string& text, std::string file_name);

  [[nodiscard]] const std::vector<Lease>& leases() const noexcept { return leases_; }
  /// Torn, foreign and duplicate lines, with their numbers. Such a line is kept and never leased.
  [[nodiscard]] const std::vector<Diagnostic>& problems() const noexcept { return problems_; }
  [[nodiscard]] std::string text() const;

  /// Changes the first line of that address; false where it is not there.
  bool set(std::string_view address, std::uint64_t job_id);

 private:
  std::string file_name_;
  std::vector<std::string> lines_;  ///< with their line ends
  std::vector<Lease> leases_;
  std::vector<Diagnostic> problems_;
};

/// A lease file under its lock (flock on `<file>.lock`, bounded wait). Every change is atomic and
/// durable and keeps the file's owner and mode.
class LeaseFile {
 public:
  /// How long another program's lock of the file is waited for. Who frees an address has more
  /// patience than who wants one: it stays taken until somebody tries again.
  static constexpr std::chrono::milliseconds kLeaseWait{5'000};
  static constexpr std::chrono::milliseconds kReleaseWait{30'000};

  explicit LeaseFile(std::string path);

  /// Called with the chosen address before the file changes, so that the job record knows it first.
  using Intend = std::function<Result<void>(const std::string& address)>;

  /// The address that the job holds already (`preferred`, when the file agrees or it is free), or
  /// the first free one. Blame::busy "no address left in FILE: N of N leased" where none is.
  /// `held`: addresses that live jobs of this node hold by their records; never handed out.
  [[nodiscard]] Result<std::string> lease(std::uint64_t job_id, const std::string& preferred,
                                          const std::vector<std::string>& held,
                                          const Intend& intend,
                                          std::chrono::milliseconds wait = kLeaseWait);
  /// Frees the address if that job holds it; success where it does not.
  [[nodiscard]] Result<void> release(std::uint64_t job_id, const std::string& address,
                                     std::chrono::milliseconds wait = kReleaseWait);
  /// Frees all that a job holds: for a lost record, on a file that no other node uses. Returns
  /// them.
  [[nodiscard]] Result<std::vector<std::string>> release_all(
      std::uint64_t job_id, std::chrono::milliseconds wait = kReleaseWait);
  [[nodiscard]] Result<LeaseTable> read() const;

 private:
  std::string path_;
};

/// "02:..": a locally administered MAC address derived from the IPv4 address.
[[nodiscard]] std::string mac_of(std::string_view address);

}  // namespace cloud
