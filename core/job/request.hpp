// SPDX-License-Identifier: Apache-2.0
//
// What a job asks for. Pure and without dependencies: the SPANK plugin compiles it to refuse a bad
// value at once, the prolog uses it as the trust boundary, because anybody can set any SPANK_*
// value without our plugin.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace cloud {

/// What runs inside the machine.
enum class RunMode {
  steps,  ///< the steps that srun starts
  all,    ///< these and the batch script of sbatch
  host,   ///< nothing: tasks run on the host while the machine lives beside them
};

[[nodiscard]] std::string_view to_string(RunMode mode);

/// What a job's tasks wait for.
enum class ReadyLevel {
  boot,        ///< the machine's kernel or init runs
  ssh,         ///< its sshd lets the user in; the default of machines that are entered that way
  cloud_init,  ///< its cloud-init has finished
};

[[nodiscard]] std::string_view to_string(ReadyLevel level);

struct MountRequest {
  std::string source;  ///< absolute path on the host
  std::string target;  ///< absolute path in the machine
  bool read_only = false;
};

struct Request {
  std::string type;            ///< backend name; never empty in a parsed request
  std::string image;           ///< "" means the backend's default
  std::optional<RunMode> run;  ///< absent means the site's default
  std::vector<MountRequest> mounts;
  std::optional<ReadyLevel> ready;              ///< absent means what the type is entered by
  std::optional<std::chrono::seconds> timeout;  ///< to become ready; absent means the site's
  std::string user_data;                        ///< absolute path of a cloud-init file, or ""
};

inline constexpr std::size_t kNameMax = 63;    ///< bytes of a type or image name
inline constexpr std::size_t kMountsMax = 32;  ///< entries of --cloud-mount
inline constexpr std::size_t kPathMax = 1024;  ///< bytes of a path in --cloud-mount

/// A backend name: [a-z][a-z0-9_]{0,62}.
[[nodiscard]] Result<std::string> parse_type(std::string_view text);
/// An image name: [A-Za-z0-9][A-Za-z0-9._-]{0,62}, without "..".
[[nodiscard]] Result<std::string> parse_image(std::string_view text);
/// "yes" or "no".
[[nodiscard]] Result<bool> parse_create(std::string_view text);
/// "steps", "all" or "host".
[[nodiscard]] Result<RunMode> parse_run(std::string_view text);
/// "SRC[:DST][:ro][,SRC...]": absolute paths of printable UTF-8 without control characters, ":",
/// "," and ".." components. DST defaults to SRC. A target at or below /proc, /sys, /dev, or "/"
/// itself is refused.
[[nodiscard]] Result<std::vector<MountRequest>> parse_mounts(std::string_view text);

/// "boot", "ssh" or "cloud-init".
[[nodiscard]] Result<ReadyLevel> parse_ready(std::string_view text);
/// "90", "90s", "5m" or "1h": 1 s to 24 h.
[[nodiscard]] Result<std::chrono::seconds> parse_timeout(std::string_view text);
/// An absolute path, as a source in --cloud-mount.
[[nodiscard]] Result<std::string> parse_user_data(std::string_view text);

/// The text without control characters and invalid UTF-8, cut at 80 bytes: safe to print in a
/// message.
[[nodiscard]] std::string printable(std::string_view text);

/// Looks up the value of a variable; std::nullopt where it is not set.
using Lookup = std::function<std::optional<std::string>(std::string_view)>;

/// The request of a job from SPANK_cloud, SPANK_cloud_create, SPANK_cloud_type, SPANK_cloud_image,
/// SPANK_cloud_run, SPANK_cloud_mount, SPANK_cloud_ready, SPANK_cloud_timeout and
/// SPANK_cloud_user_data. std::nullopt where the job asks for no machine (none of
/// them set, or cloud_create=no). Errors (Blame::user) name the option as the user types it.
/// default_type: the type of a request that names none, or ""; it makes no request by itself.
[[nodiscard]] Result<std::optional<Request>> parse_request(const Lookup& lookup,
                                                           std::string_view default_type);

}  // namespace cloud
