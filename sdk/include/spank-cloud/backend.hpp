// SPDX-License-Identifier: Apache-2.0
//
// Header-only C++17 side of backend_abi.h. It lives wholly inside the backend's shared object, so
// its classes may use any type: only the C table leaves.
//
//   class Mine {
//    public:
//     Mine(cloud::sdk::Host host, cloud::sdk::Settings settings);
//     void probe();
//     void prepare(const cloud_machine_spec& spec);
//     void start(const cloud_machine_spec& spec, cloud::sdk::Deadline deadline);
//     void wait_ready(const cloud_machine_ref& ref, cloud::sdk::Deadline deadline,
//                     cloud::sdk::Progress progress);
//     void info(const cloud_machine_ref& ref, cloud_machine_info& out);
//     void stop(const cloud_machine_ref& ref, cloud::sdk::Deadline deadline);
//     void destroy(const cloud_machine_ref& ref, cloud::sdk::Deadline deadline);
//     void list(const std::function<void(const std::string&)>& visit);
//
//     // Optional:
//     int console(const cloud_machine_ref& ref);          // gives CLOUD_CAP_CONSOLE
//     static constexpr const char* image_formats = "raw qcow2";      // "directory" without it
//     static constexpr cloud_option image_options[] = {{"firmware", CLOUD_STRING, ...}};
//   };
//   CLOUD_BACKEND(Mine, "mine", "1.0.0", 0, kOptions)   // an array of cloud_option, or no_options
//
// A method fails by throwing Failure, or std::system_error where the node is to blame. Names of
// machines have been checked: [a-z0-9-]{1,63}.
#ifndef SPANK_CLOUD_BACKEND_HPP
#define SPANK_CLOUD_BACKEND_HPP

#include <spank-cloud/backend_abi.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace cloud {
namespace sdk {

/// What a backend throws to fail a call. Never leaves the shared object.
class Failure : public std::runtime_error {
 public:
  Failure(std::int32_t code, const std::string& message, int os_errno = 0, int setting = -1)
      : std::runtime_error{message}, code_{code}, os_errno_{os_errno}, setting_{setting} {}

  [[nodiscard]] std::int32_t code() const noexcept { return code_; }
  [[nodiscard]] int os_errno() const noexcept { return os_errno_; }
  [[nodiscard]] int setting() const noexcept { return setting_; }

 private:
  std::int32_t code_;
  int os_errno_;
  int setting_;
};

/// A failed system call: "open /x: No such file or directory".
[[nodiscard]] inline Failure system_failure(std::int32_t code, const std::string& what,
                                            int number) {
  return Failure{code, what + ": " + std::strerror(number), number};
}

class Host {
 public:
  explicit Host(const cloud_host* host) noexcept : host_{host} {}

  void log(cloud_level level, const std::string& message) const noexcept {
    if (CLOUD_HAS(host_, log) && host_->log != nullptr) {
      host_->log(host_->context, level, message.c_str());
    }
  }

  [[nodiscard]] bool cancelled() const noexcept {
    return CLOUD_HAS(host_, cancelled) && host_->cancelled != nullptr &&
           host_->cancelled(host_->context) != 0;
  }

  /// Moves a process with all its threads into `cgroup`; see cloud_host.place. Throws Failure.
  void place(const std::string& cgroup, std::int64_t pid) const {
    if (!CLOUD_HAS(host_, place) || host_->place == nullptr) {
      throw Failure{CLOUD_E_UNSUPPORTED, "this release of spank-cloud places no processes"};
    }
    must([&](cloud_error* error) {
      return host_->place(host_->context, cgroup.c_str(), pid, error);
    });
  }

  /// Holds back what the machine may not send over its port; see cloud_host.guard_port. Throws
  /// Failure. A release of spank-cloud that cannot holds nothing back, which is logged.
  void guard_port(const std::string& interface) const {
    if (!CLOUD_HAS(host_, guard_port) || host_->guard_port == nullptr) {
      log(CLOUD_WARN, "this release of spank-cloud does not hold back what a machine sends");
      return;
    }
    must([&](cloud_error* error) {
      return host_->guard_port(host_->context, interface.c_str(), error);
    });
  }

 private:
  template <typename Call>
  static void must(Call&& call) {
    cloud_error error{};
    error.struct_size = sizeof error;
    error.setting = -1;
    const auto code = call(&error);
    if (code != CLOUD_OK) throw Failure{code, error.message, error.os_errno};
  }

  const cloud_host* host_;
};

/// The keys of [backend.NAME] that the site has set; only published ones, of the published type.
/// Valid in the constructor only: copy what is needed later.
class Settings {
 public:
  Settings(const cloud_setting* first, std::size_t count) noexcept : first_{first}, count_{count} {}

  /// nullptr where the site did not set it.
  [[nodiscard]] const cloud_setting* find(std::string_view key) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      if (key == first_[i].key) return &first_[i];
    }
    return nullptr;
  }
  [[nodiscard]] std::string string(std::string_view key, const std::string& fallback) const {
    const auto* found = find(key);
    return found == nullptr ? fallback : found->string;
  }
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback) const noexcept {
    const auto* found = find(key);
    return found == nullptr ? fallback : found->integer;
  }
  [[nodiscard]] bool boolean(std::string_view key, bool fallback) const noexcept {
    const auto* found = find(key);
    return found == nullptr ? fallback : found->boolean != 0;
  }
  /// A failure that points at the line of the setting.
  [[nodiscard]] Failure wrong(std::string_view key, const std::string& message) const {
    const auto* found = find(key);
    return Failure{CLOUD_E_CONFIG, message, 0,
                   found == nullptr ? -1 : static_cast<int>(found - first_)};
  }

 private:
  const cloud_setting* first_;
  std::size_t count_;
};

/// A point of CLOCK_MONOTONIC.
class Deadline {
 public:
  explicit Deadline(std::int64_t nanoseconds) noexcept : at_{nanoseconds} {}

  [[nodiscard]] static std::int64_t now() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
  }
  [[nodiscard]] std::int64_t nanoseconds() const noexcept { return at_; }
  /// Nanoseconds left, never negative.
  [[nodiscard]] std::int64_t remaining() const noexcept {
    return std::max<std::int64_t>(at_ - now(), 0);
  }
  [[nodiscard]] bool expired() const noexcept { return remaining() == 0; }

  /// Sleeps so long, at most 100 ms; throws when the deadline has passed or the job is cancelled.
  void pause(const Host& host, std::int64_t milliseconds, const std::string& what) const {
    if (host.cancelled()) throw Failure{CLOUD_E_CANCELLED, what + ": cancelled"};
    if (expired()) throw Failure{CLOUD_E_TIMEOUT, what + ": the time is up"};
    const auto nap = std::min<std::int64_t>({milliseconds * 1000000, 100000000, remaining()});
    const timespec time{static_cast<time_t>(nap / 1000000000), static_cast<long>(nap % 1000000000)};
    ::nanosleep(&time, nullptr);
  }

 private:
  std::int64_t at_;
};

using Progress = std::function<void(const std::string& phase)>;

/// For CLOUD_BACKEND, of a backend that takes no settings: C++ has no array of length 0.
struct NoOptions {};
inline constexpr NoOptions no_options{};

namespace detail {

inline std::int32_t report(cloud_error* err, std::int32_t code, int os_errno, int setting,
                           std::string_view message) noexcept {
  err->code = code;
  err->os_errno = os_errno;
  err->setting = setting;
  const auto size = std::min(message.size(), sizeof err->message - 1);
  // One line, whatever a name in it holds.
  std::transform(
      message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size), err->message,
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c; });
  err->message[size] = '\0';
  return code;
}

template <typename Body>
std::int32_t guard(cloud_error* err, Body&& body) noexcept {
  try {
    body();
    return CLOUD_OK;
  } catch (const Failure& failure) {
    // Thrown, it is none, whatever it says.
    const auto code = failure.code() == CLOUD_OK ? std::int32_t{CLOUD_E_INTERNAL} : failure.code();
    return report(err, code, failure.os_errno(), failure.setting(), failure.what());
  } catch (const std::bad_alloc&) {
    return report(err, CLOUD_E_NODE, ENOMEM, -1, "out of memory");
  } catch (const std::system_error& failed) {  // of std::filesystem, too
    return report(err, CLOUD_E_NODE, failed.code().value(), -1, failed.what());
  } catch (const std::exception& other) {
    return report(err, CLOUD_E_INTERNAL, 0, -1, other.what());
  } catch (...) {
    return report(err, CLOUD_E_INTERNAL, 0, -1, "unknown exception");
  }
}

/// What the engine promises of a name, checked where it matters: it becomes part of paths.
inline void require_machine_name(const char* name) {
  const std::string_view text{name};
  const bool is_good =
      !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (!is_good) throw Failure{CLOUD_E_INTERNAL, "bad machine name '" + std::string{text} + "'"};
}

template <typename T>
T& self(cloud_backend* opaque) noexcept {
  return *reinterpret_cast<T*>(opaque);
}

template <typename T, typename = void>
struct HasConsole : std::false_type {};
template <typename T>
struct HasConsole<
    T, std::void_t<decltype(std::declval<T&>().console(std::declval<const cloud_machine_ref&>()))>>
    : std::true_type {};

template <typename T, typename = void>
struct HasImageFormats : std::false_type {};
template <typename T>
struct HasImageFormats<T, std::void_t<decltype(T::image_formats)>> : std::true_type {};

template <typename T, typename = void>
struct HasImageOptions : std::false_type {};
template <typename T>
struct HasImageOptions<T, std::void_t<decltype(T::image_options)>> : std::true_type {};

template <std::size_t Count>
constexpr const cloud_option* first_of(const cloud_option (&options)[Count]) noexcept {
  return &options[0];
}
constexpr const cloud_option* first_of(NoOptions) noexcept {
  return nullptr;
}
template <std::size_t Count>
constexpr std::size_t count_of(const cloud_option (&)[Count]) noexcept {
  return Count;
}
constexpr std::size_t count_of(NoOptions) noexcept {
  return 0;
}

template <typename T>
constexpr cloud_backend_v1 table(const char* name, const char* version, std::uint64_t capabilities,
                                 const cloud_option* options, std::size_t option_count) {
  cloud_backend_v1 api{};
  api.struct_size = sizeof api;
  api.abi_minor = CLOUD_ABI_MINOR;
  api.name = name;
  api.version = version;
  api.capabilities = capabilities;
  api.options = options;
  api.option_count = option_count;
  api.image_formats = "directory";
  if constexpr (HasImageFormats<T>::value) api.image_formats = T::image_formats;
  if constexpr (HasImageOptions<T>::value) {
    api.image_options = T::image_options;
    api.image_option_count = std::size(T::image_options);
  }
  api.open = [](const cloud_host* host, const cloud_setting* settings, std::size_t count,
                cloud_backend** out, cloud_error* err) {
    return guard(err, [&] {
      auto made = std::make_unique<T>(Host{host}, Settings{settings, count});
      *out = reinterpret_cast<cloud_backend*>(made.release());
    });
  };
  api.close = [](cloud_backend* b) {
    cloud_error ignored{};
    guard(&ignored, [&] { delete &self<T>(b); });
  };
  api.probe = [](cloud_backend* b, cloud_error* err) {
    return guard(err, [&] { self<T>(b).probe(); });
  };
  api.prepare = [](cloud_backend* b, const cloud_machine_spec* spec, cloud_error* err) {
    return guard(err, [&] {
      require_machine_name(spec->name);
      self<T>(b).prepare(*spec);
    });
  };
  api.start = [](cloud_backend* b, const cloud_machine_spec* spec, std::int64_t deadline,
                 cloud_error* err) {
    return guard(err, [&] {
      require_machine_name(spec->name);
      self<T>(b).start(*spec, Deadline{deadline});
    });
  };
  api.wait_ready = [](cloud_backend* b, const cloud_machine_ref* ref, std::int64_t deadline,
                      void (*progress)(void*, const char*), void* context, cloud_error* err) {
    return guard(err, [&] {
      require_machine_name(ref->name);
      self<T>(b).wait_ready(*ref, Deadline{deadline}, [&](const std::string& phase) {
        if (progress != nullptr) progress(context, phase.c_str());
      });
    });
  };
  api.info = [](cloud_backend* b, const cloud_machine_ref* ref, cloud_machine_info* out,
                cloud_error* err) {
    return guard(err, [&] {
      require_machine_name(ref->name);
      // An older engine's is shorter.
      cloud_machine_info all{};
      self<T>(b).info(*ref, all);
      const auto size = std::min<std::size_t>(out->struct_size, sizeof all);
      all.struct_size = out->struct_size;
      std::memcpy(static_cast<void*>(out), &all, size);
    });
  };
  api.stop = [](cloud_backend* b, const cloud_machine_ref* ref, std::int64_t deadline,
                cloud_error* err) {
    return guard(err, [&] {
      require_machine_name(ref->name);
      self<T>(b).stop(*ref, Deadline{deadline});
    });
  };
  api.destroy = [](cloud_backend* b, const cloud_machine_ref* ref, std::int64_t deadline,
                   cloud_error* err) {
    return guard(err, [&] {
      require_machine_name(ref->name);
      self<T>(b).destroy(*ref, Deadline{deadline});
    });
  };
  api.list = [](cloud_backend* b, void (*visit)(void*, const char*), void* context,
                cloud_error* err) {
    return guard(err, [&] {
      self<T>(b).list([&](const std::string& found) { visit(context, found.c_str()); });
    });
  };
  if constexpr (HasConsole<T>::value) {
    api.capabilities |= CLOUD_CAP_CONSOLE;
    api.console = [](cloud_backend* b, const cloud_machine_ref* ref, std::int32_t* fd,
                     cloud_error* err) {
      return guard(err, [&] {
        require_machine_name(ref->name);
        *fd = self<T>(b).console(*ref);
      });
    };
  }
  return api;
}

}  // namespace detail
}  // namespace sdk
}  // namespace cloud

#define CLOUD_BACKEND(Type, name, version, capabilities, options)             \
  extern "C" const cloud_backend_v1* cloud_backend_entry_v1() {               \
    static constexpr auto api = ::cloud::sdk::detail::table<Type>(            \
        name, version, capabilities, ::cloud::sdk::detail::first_of(options), \
        ::cloud::sdk::detail::count_of(options));                             \
    return &api;                                                              \
  }                                                                           \
  static_assert(true, "")

#endif
