// SPDX-License-Identifier: Apache-2.0
#include "tools/backend_check/run_mark.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

std::string mark_of(const std::string& folder) {
  return folder + "/mark";
}

}  // namespace

Result<RunMark> RunMark::take(const std::string& folder) {
  const auto path = mark_of(folder);
  RunMark mark;
  mark.file_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!mark.file_) return os_error(Blame::node, "open " + path, errno);
  // JUSTIFICATION: not flock(2), whose lock a process that is forked keeps.
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(mark.file_.value(), F_SETLK, &whole) != 0) {
    return os_error(Blame::node, "lock " + path, errno);
  }
  return mark;
}

Result<RunHoldings> RunMark::read(const std::string& folder) {
  const auto text = read_file(mark_of(folder), 1 << 16);
  if (!text) return text.error();
  RunHoldings holdings;
  std::istringstream lines{*text};
  std::string id;
  std::getline(lines, holdings.backend);
  std::getline(lines, holdings.lease_file);
  std::getline(lines, holdings.address);
  if (std::getline(lines, id)) std::istringstream{id} >> holdings.lease_id;
  return holdings;
}

Result<void> RunMark::write(const RunHoldings& holdings) const {
  const auto text = holdings.backend + "\n" + holdings.lease_file + "\n" + holdings.address + "\n" +
                    std::to_string(holdings.lease_id) + "\n";
  const auto size = static_cast<ssize_t>(text.size());
  if (::ftruncate(file_.value(), 0) != 0 ||
      ::pwrite(file_.value(), text.data(), text.size(), 0) != size) {
    return os_error(Blame::node, "write the mark of this run", errno);
  }
  return {};
}

}  // namespace cloud
