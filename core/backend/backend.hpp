// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config/site_config.hpp"
#include "core/error.hpp"
#include "core/machine/spec.hpp"
#include "core/system/unique_fd.hpp"

struct cloud_backend_v1;
struct cloud_error;
struct cloud_option;

namespace cloud {

using Deadline = std::chrono::steady_clock::time_point;

/// What the engine does for a backend while that starts a machine; what is empty is unsupported.
struct StartServices {
  /// Moves a process that somebody else's daemon has started into the machine's cgroup.
  std::function<Result<void>(const std::string& cgroup, std::int64_t pid)> place;
  /// Holds back what the machine may not send over its port of the bridge.
  std::function<Result<void>(const std::string& interface)> guard_port;
};

/// What the engine gives to a backend.
struct BackendHost {
  std::function<void(int level, const std::string& message)> log;  ///< level: cloud_level
  std::function<bool()> cancelled;
};

/// A loaded backend: the C table as a C++ object. Every call turns codes into Error, with the
/// backend's name in front, and catches what should never cross the line.
class Backend {
 public:
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::string version() const;
  [[nodiscard]] bool has_namespaces() const noexcept;
  [[nodiscard]] bool has_ssh() const noexcept;
  [[nodiscard]] bool has_console() const noexcept;

  [[nodiscard]] Result<void> probe();
  [[nodiscard]] Result<void> prepare(const MachineSpec& spec);
  [[nodiscard]] Result<void> start(const MachineSpec& spec, Deadline deadline,
                                   const StartServices& services = {});
  [[nodiscard]] Result<void> wait_ready(const MachineRef& ref, Deadline deadline,
                                        const std::function<void(const std::string&)>& progress);
  [[nodiscard]] Result<MachineInfo> info(const MachineRef& ref);
  [[nodiscard]] Result<void> stop(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Result<void> destroy(const MachineRef& ref, Deadline deadline);
  [[nodiscard]] Result<std::vector<std::string>> list();
  /// A stream of the machine's console; only where has_console().
  [[nodiscard]] Result<UniqueFd> console(const MachineRef& ref);

 private:
  friend Result<std::unique_ptr<Backend>> open_backend(const std::string&, const BackendConfig&,
                                                       BackendHost);
  struct Impl;
  static std::int32_t place_process(void* context, const char* cgroup, std::int64_t pid,
                                    cloud_error* error);
  static std::int32_t guard_port(void* context, const char* interface, cloud_error* error);
  explicit Backend(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Loads `<dir>/cloud_backend_<name>.so` (trusted path, eager binding, never unloaded), checks its
/// table, checks config.settings against its options, and opens it. Each way a file can be wrong
/// has its own message (Blame::site), which names the file.
[[nodiscard]] Result<std::unique_ptr<Backend>> open_backend(const std::string& dir,
                                                            const BackendConfig& config,
                                                            BackendHost host);

/// The table only, checked; nothing of it was called. `notes`: see try_loading().
[[nodiscard]] Result<const cloud_backend_v1*> load_backend_table(const std::string& dir,
                                                                 const std::string& name,
                                                                 const std::string& notes = {});

/// The same for a file that is not installed yet, by its absolute path: whose it is is not asked.
/// For a backend's author.
[[nodiscard]] Result<const cloud_backend_v1*> load_unowned_backend_table(const std::string& real,
                                                                         const std::string& name);

/// `<dir>/cloud_backend_<name>.so`
[[nodiscard]] std::string backend_file(const std::string& dir, const std::string& name);
/// NAME of ".../cloud_backend_NAME.so"; std::nullopt of a file that is called otherwise.
[[nodiscard]] std::optional<std::string> backend_name(const std::string& file);
/// The names of the files of that kind in a folder, sorted; they may be wrong in any way.
[[nodiscard]] std::vector<std::string> backend_names_in(const std::string& dir);

/// Checks [backend.NAME] settings against the backend's published options: unknown key (with the
/// nearest name), wrong type, missing required one, each at its file:line:column.
void check_backend_settings(const cloud_backend_v1& table, const BackendConfig& config,
                            Report& report);

/// Whether machines of this backend are entered through ssh.
[[nodiscard]] bool has_ssh_entry(const cloud_backend_v1& table);

/// Whether the backend takes images of that format.
[[nodiscard]] bool takes_image_format(const cloud_backend_v1& table, const std::string& format);
/// "directory, squashfs", for messages.
[[nodiscard]] std::string image_format_names(const cloud_backend_v1& table);

/// Checks the keys of [image.NAME] that the engine does not know itself against what the backends
/// that may use the image publish: each key shall be known to one of them, and be of its type.
void check_image_settings(const std::vector<const cloud_backend_v1*>& tables,
                          const ImageConfig& image, Report& report);
/// The settings of an image that this backend knows.
[[nodiscard]] std::vector<BackendSetting> image_settings_for(const cloud_backend_v1& table,
                                                             const ImageConfig& image);

}  // namespace cloud
