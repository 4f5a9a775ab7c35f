// SPDX-License-Identifier: Apache-2.0
#include "core/system/trusted_path.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

namespace cloud {
namespace {

Result<void> require_root_only(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return os_error(Blame::site, path, errno);
  if (status.st_uid != 0) {
    return Error{Blame::site, path + " belongs to uid " + std::to_string(status.st_uid) +
                                  " and shall belong to root: chown root " + path};
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{Blame::site, path + " is writable by others than root: chmod go-w " + path +
                                  (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0
                                       ? ", or use a folder that is not below it"
                                       : "")};
  }
  return {};
}

}  // namespace

Result<void> require_trusted(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return Error{Blame::site, "'" + path + "' is not an absolute path"};
  }
  const std::unique_ptr<char, void (*)(void*)> real{::realpath(path.c_str(), nullptr), ::free};
  if (!real) return os_error(Blame::site, path, errno);
  const std::string resolved{real.get()};
  if (auto root = require_root_only("/"); !root) return root;
  for (std::size_t end = resolved.find('/', 1);; end = resolved.find('/', end + 1)) {
    if (auto trusted = require_root_only(resolved.substr(0, end)); !trusted) return trusted;
    if (end == std::string::npos) return {};
  }
}

}  // namespace cloud
