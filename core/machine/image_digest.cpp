// SPDX-License-Identifier: Apache-2.0
#include "core/machine/image_digest.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <spank-cloud/base/uninterrupted.hpp>
#include <vector>

#include "core/job/record_store.hpp"
#include "core/system/atomic_file.hpp"
#include "core/system/file_version.hpp"
#include "core/system/unique_fd.hpp"

namespace cloud {
namespace {

using namespace std::chrono_literals;

constexpr std::time_t kTick = 2;  ///< seconds: more than any file system's
// Somebody else's reading of the same file, before it is read twice: who reads is in a job's
// control group, and may be as slow as its user likes.
constexpr std::chrono::milliseconds kOthersRead = 30s;

using Cancelled = std::function<bool()>;

Error stopped() {
  return {Blame::cancelled, "check the image's digest: the job is being cancelled", 0};
}

std::string hex(const unsigned char* bytes, std::size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

// Whether it was got within kOthersRead.
Result<bool> wait_for_lock(int fd, const std::string& note, const Cancelled& cancelled) {
  constexpr auto kPortion = 200ms;
  for (auto waited = 0ms; waited < kOthersRead; waited += kPortion) {
    if (cancelled()) return stopped();
    if (lock_exclusively(fd, note, kPortion)) return true;
  }
  return false;
}

Result<std::string> sha256_of(int fd, const std::string& path, const Cancelled& cancelled) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context{::EVP_MD_CTX_new(),
                                                                   ::EVP_MD_CTX_free};
  if (!context || ::EVP_DigestInit_ex(context.get(), ::EVP_sha256(), nullptr) != 1) {
    return Error{Blame::node, "libcrypto has no SHA-256"};
  }
  std::vector<unsigned char> buffer(std::size_t{1} << 20);
  for (;;) {
    if (cancelled()) return stopped();
    const auto count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return os_error(Blame::node, "read " + path, errno);
    if (count == 0) break;
    ::EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(count));
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  ::EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  return hex(digest.data(), size);
}

// A file name for a path: its digest.
std::string name_of(const std::string& path) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  ::EVP_Digest(path.data(), path.size(), digest.data(), &size, ::EVP_sha256(), nullptr);
  return hex(digest.data(), 16);
}

std::optional<std::string> noted_digest(const std::string& note, const std::string& version) {
  const auto known = read_file(note, 4096);
  if (!known) return std::nullopt;
  const auto end = known->find('\n');
  if (end == std::string::npos || known->substr(0, end) != version) return std::nullopt;
  return known->substr(end + 1, 64);
}

Result<std::string> remembered_digest(const std::string& path, const std::string& folder,
                                      const Cancelled& cancelled) {
  const auto note = folder + "/" + name_of(path);
  const UniqueFd file{
      uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); })};
  struct stat status {};
  if (!file || ::fstat(file.value(), &status) != 0) {
    return os_error(Blame::site, "open image " + path, errno);
  }
  if (!S_ISREG(status.st_mode)) return Error{Blame::site, "image " + path + " is no regular file"};
  const auto version = version_of(status);
  if (const auto known = noted_digest(note, version)) return *known;
  const UniqueFd lock{
      ::open((note + ".lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!lock) return os_error(Blame::node, "open " + note + ".lock", errno);
  const auto is_ours = wait_for_lock(lock.value(), note, cancelled);
  if (!is_ours) return is_ours.error();
  if (const auto known = noted_digest(note, version)) return *known;
  auto digest = sha256_of(file.value(), path, cancelled);
  if (!digest) return digest;
  struct stat after {};
  if (::fstat(file.value(), &after) != 0 || version_of(after) != version) {
    return Error{Blame::site, "image " + path + " is being changed: replace images by rename"};
  }
  // What was changed a moment ago can be changed again without another time.
  if (std::time(nullptr) - std::max(status.st_ctime, status.st_mtime) <= kTick) return digest;
  if (!*is_ours) return digest;
  if (auto saved = write_file(note, version + "\n" + *digest + "\n", {.mode = 0600, .owner = {}});
      !saved) {
    return std::move(saved).error();
  }
  return digest;
}

Result<void> check_one(const ImageConfig& image, const std::string& path, const std::string& pinned,
                       const std::string& folder, const Cancelled& cancelled) {
  if (pinned.empty()) return {};
  const auto digest = remembered_digest(path, folder, cancelled);
  if (!digest) return digest.error();
  if (*digest == pinned) return {};
  return Error{Blame::site, image.where.text() + ": " + path + " of image '" + image.name +
                                "' has the SHA-256 " + *digest + " and shall have " + pinned};
}

}  // namespace

Result<void> check_image_digests(const ImageConfig& image, const std::string& folder,
                                 const Cancelled& cancelled) {
  if (image.sha256.empty() && image.initrd_sha256.empty()) return {};
  if (auto made = make_directories(folder, 0700); !made) return made;
  if (auto good = check_one(image, image.path, image.sha256, folder, cancelled); !good) return good;
  return check_one(image, image.initrd, image.initrd_sha256, folder, cancelled);
}

}  // namespace cloud
