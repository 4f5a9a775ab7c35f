// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/seed_disk.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <set>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/descriptor.hpp>

namespace cloud::kvm {
namespace {

using sdk::Failure;

using Archive = std::unique_ptr<archive, int (*)(archive*)>;
using Entry = std::unique_ptr<archive_entry, void (*)(archive_entry*)>;

void check(int status, archive* to, const std::string& path) {
  if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return;
  throw Failure{CLOUD_E_NODE, "write " + path + ": " + archive_error_string(to), archive_errno(to)};
}

Entry entry_of(const std::string& name, mode_t type, mode_t mode, std::size_t size) {
  Entry entry{archive_entry_new(), archive_entry_free};
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), type);
  archive_entry_set_perm(entry.get(), mode);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  archive_entry_set_mtime(entry.get(), 0, 0);
  return entry;
}

}  // namespace

void write_seed_disk(const std::string& path, const std::vector<SeedFile>& files, uid_t uid,
                     gid_t gid) {
  ::unlink(path.c_str());
  const sdk::Descriptor file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400)};
  if (!file) throw sdk::system_failure(CLOUD_E_NODE, "make " + path, errno);
  const Archive to{archive_write_new(), archive_write_free};
  check(archive_write_set_format_iso9660(to.get()), to.get(), path);
  check(archive_write_set_options(to.get(), "volume-id=cidata,rockridge=useful,joliet=long"),
        to.get(), path);
  check(archive_write_open_fd(to.get(), file.value()), to.get(), path);
  std::set<std::string> folders;
  for (const auto& seed : files) {
    if (const auto slash = seed.path.rfind('/'); slash != std::string::npos) {
      const auto folder = seed.path.substr(0, slash);
      if (folders.insert(folder).second) {
        const auto entry = entry_of(folder, AE_IFDIR, 0755, 0);
        check(archive_write_header(to.get(), entry.get()), to.get(), path);
      }
    }
    const auto entry = entry_of(seed.path, AE_IFREG, seed.mode, seed.content.size());
    check(archive_write_header(to.get(), entry.get()), to.get(), path);
    const auto size = seed.content.size();
    if (size > 0 &&
        archive_write_data(to.get(), seed.content.data(), size) != static_cast<la_ssize_t>(size)) {
      check(ARCHIVE_FATAL, to.get(), path);
    }
  }
  check(archive_write_close(to.get()), to.get(), path);
  if (::fchown(file.value(), uid, gid) != 0) {
    throw sdk::system_failure(CLOUD_E_NODE, "change the owner of " + path, errno);
  }
}

}  // namespace cloud::kvm
