// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/template_image.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <string_view>
#include <vector>

namespace cloud::kvm {
namespace {

using sdk::Descriptor;
using sdk::Failure;
using sdk::system_failure;

constexpr std::int64_t kCloneSeconds = 30;

Failure refuse(const cloud_image& image, const std::string& path, const std::string& why) {
  return Failure{CLOUD_E_CONFIG, "image '" + std::string{image.name} + "': " + path + " " + why};
}

void check_owner_of_folders(const cloud_image& image, const std::string& path) {
  for (auto end = path.rfind('/'); end != 0 && end != std::string::npos;
       end = path.rfind('/', end - 1)) {
    const auto folder = path.substr(0, end);
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) throw refuse(image, folder, "cannot be looked at");
    const bool is_sticky = (status.st_mode & S_ISVTX) != 0;
    if (status.st_uid != 0 || ((status.st_mode & 022) != 0 && !is_sticky)) {
      throw refuse(image, path,
                   "could be replaced by others than root, in the folder " + folder +
                       ": keep images in a folder that only root can write, such as "
                       "/var/lib/spank-cloud/images");
    }
    if ((status.st_mode & S_IXOTH) == 0) {
      throw refuse(image, folder,
                   "is closed to a machine's QEMU, which is neither root's nor any user's: "
                   "chmod o+x " +
                       folder);
    }
  }
}

Failure cannot_open(const cloud_image& image, const std::string& path, int number) {
  return Failure{
      CLOUD_E_CONFIG,
      "image '" + std::string{image.name} + "': open " + path + ": " + std::strerror(number),
      number};
}

struct CheckedFile {
  std::string path;  ///< without a symbolic link in it
  Descriptor file;
  std::uint64_t size = 0;
};

// The way to a file is checked as it was gone: a link above it could lead through a folder that is
// a user's, and be the only part of the way that was looked at.
CheckedFile open_checked(const cloud_image& image, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
    throw refuse(image, path, "is a link: name the file, not a link");
  }
  const std::unique_ptr<char, void (*)(void*)> real{::realpath(path.c_str(), nullptr), std::free};
  if (!real) throw cannot_open(image, path, errno);
  CheckedFile checked{real.get(), {}, 0};
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_NO_SYMLINKS;
  checked.file = Descriptor{static_cast<int>(uninterrupted(
      [&] { return ::syscall(SYS_openat2, AT_FDCWD, real.get(), &how, sizeof how); }))};
  if (!checked.file) throw cannot_open(image, path, errno);
  if (::fstat(checked.file.value(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw refuse(image, path, "is no regular file");
  }
  if (status.st_uid != 0 || (status.st_mode & 022) != 0) {
    throw refuse(image, path,
                 "must belong to root and be writable by root only (chown root and "
                 "chmod go-w)");
  }
  if ((status.st_mode & S_IROTH) == 0) {
    throw refuse(image, path,
                 "cannot be read by a machine's QEMU, which is neither root's nor any user's: "
                 "chmod o+r " +
                     path);
  }
  check_owner_of_folders(image, checked.path);
  checked.size = static_cast<std::uint64_t>(status.st_size);
  return checked;
}

std::uint64_t big_endian(const unsigned char* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

// The header of docs/interop/qcow2.txt of QEMU. Returns the bytes of the disk in it.
std::uint64_t check_qcow2(const cloud_image& image, const Descriptor& file) {
  constexpr std::uint64_t kExternalData = 4;
  std::array<unsigned char, 104> header{};
  const auto count = ::pread(file.value(), header.data(), header.size(), 0);
  if (count < 72 ||
      std::string_view{reinterpret_cast<const char*>(header.data()), 4} != "QFI\xfb") {
    throw refuse(image, image.path, "is no qcow2 file");
  }
  const auto version = big_endian(&header[4], 4);
  if (version != 2 && version != 3) {
    throw refuse(image, image.path, "is of qcow2 version " + std::to_string(version));
  }
  if (big_endian(&header[8], 8) != 0) {
    throw refuse(image, image.path,
                 "has a backing file: make it stand for itself (qemu-img convert -O qcow2)");
  }
  if (version == 3 && (big_endian(&header[72], 8) & kExternalData) != 0) {
    throw refuse(image, image.path,
                 "keeps its data in another file: convert it (qemu-img convert "
                 "-O qcow2)");
  }
  if (big_endian(&header[32], 4) != 0) throw refuse(image, image.path, "is encrypted");
  return big_endian(&header[24], 8);
}

void check_not_disk_format(const cloud_image& image, const Descriptor& file) {
  std::array<unsigned char, 4> magic{};
  const auto count = ::pread(file.value(), magic.data(), magic.size(), 0);
  if (count == 4 && std::string_view{reinterpret_cast<const char*>(magic.data()), 4} == "QFI\xfb") {
    throw refuse(image, image.path, "is a qcow2 file, and its format is said to be raw");
  }
}

}  // namespace

ImageFiles check_template(const cloud_image& image) {
  constexpr std::uint64_t kSector = 512;
  const auto checked = open_checked(image, image.path);
  const std::string_view format{image.format};
  ImageFiles files{checked.path, "", (checked.size + kSector - 1) / kSector * kSector};
  if (format == "qcow2") files.size = check_qcow2(image, checked.file);
  if (format == "raw") check_not_disk_format(image, checked.file);
  if (*image.initrd != '\0') files.initrd = open_checked(image, image.initrd).path;
  return files;
}

void make_overlay(const std::string& qemu_img, const cloud_image& image, const ImageFiles& files,
                  const NewOverlay& wanted) {
  // A part of an overlay is never taken for one: it has its name when it is whole.
  const auto part = wanted.path + ".part";
  const auto size = std::to_string(wanted.size > 0 ? wanted.size : files.size);
  // -u: the image is not opened. Root reads no more of it than its header, and its digest is
  // checked when the machine starts.
  std::vector<std::string> words{qemu_img, "create",     "-q", "-u",       "-f", "qcow2",
                                 "-F",     image.format, "-b", files.path, part, size};
  const auto make = [&]() -> std::string {
    ::unlink(part.c_str());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    char* const environment[] = {nullptr};
    const int null = ::open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) ::dup2(null, fd);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execve(argv[0], argv.data(), environment);
      ::_exit(127);
    }
    int status = 0;
    uninterrupted([&] { return ::waitpid(pid, &status, 0); });
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      throw Failure{CLOUD_E_NODE, qemu_img + " could not make the overlay " + wanted.path +
                                      " (is the disk full?)"};
    }
    return {};
  };
  (void)sdk::bounded_call("clone image " + std::string{image.name}, make,
                          sdk::in_seconds(kCloneSeconds));
  const Descriptor file{::open(part.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (!file || ::fchown(file.value(), wanted.owner, wanted.owner) != 0 ||
      ::fchmod(file.value(), 0600) != 0 || ::rename(part.c_str(), wanted.path.c_str()) != 0) {
    throw system_failure(CLOUD_E_NODE, "make the overlay " + wanted.path, errno);
  }
}

}  // namespace cloud::kvm
