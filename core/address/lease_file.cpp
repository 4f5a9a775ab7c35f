// SPDX-License-Identifier: Apache-2.0
#include "core/address/lease_file.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <unordered_set>

#include "core/job/record_store.hpp"
#include "core/system/atomic_file.hpp"

namespace cloud {
namespace {

constexpr std::size_t kFileLimit = 64 << 20;

bool is_ipv4(const std::string& text) {
  in_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

struct LineEnd {
  std::string_view body;
  std::string_view end;  // "\n", "\r\n", or "" for a last line without one
};

LineEnd without_end(std::string_view line) {
  std::size_t size = line.size();
  if (size > 0 && line[size - 1] == '\n') --size;
  if (size < line.size() && size > 0 && line[size - 1] == '\r') --size;
  return {line.substr(0, size), line.substr(size)};
}

struct ParsedLine {
  std::string address;
  std::uint64_t job_id = 0;
};

// What is wrong with the line, or the lease that it is.
struct LineVerdict {
  std::optional<ParsedLine> lease;
  std::string problem;
};

LineVerdict read_line(std::string_view body) {
  const auto first = body.find(';');
  const auto second = first == std::string_view::npos ? first : body.find(';', first + 1);
  if (second == std::string_view::npos || body.find(';', second + 1) != std::string_view::npos) {
    return {{}, "is not 'IP;SLURM_JOB_ID;USED': repair or remove it"};
  }
  ParsedLine lease;
  lease.address = body.substr(0, first);
  if (!is_ipv4(lease.address)) return {{}, "does not begin with an IPv4 address"};
  const auto job = body.substr(first + 1, second - first - 1);
  const auto used = body.substr(second + 1);
  if (job.empty()) {
    if (!used.empty()) return {{}, "is marked as used without a job: clear the third column"};
    return {std::move(lease), {}};
  }
  const auto [end, failure] = std::from_chars(job.data(), job.data() + job.size(), lease.job_id);
  if (failure != std::errc{} || end != job.data() + job.size() || lease.job_id == 0) {
    return {{}, "has a job id that is no number"};
  }
  if (used.empty()) return {{}, "names a job without being marked as used"};
  return {std::move(lease), {}};
}

struct Locked {
  UniqueFd lock;
  LeaseTable table;
  struct stat status;
};

Result<LeaseTable> read_table(const std::string& path, struct stat& status) {
  if (::stat(path.c_str(), &status) != 0) {
    return os_error(Blame::site, "lease file " + path + " (make it with a line 'IP;;' per address)",
                    errno);
  }
  auto text = read_file(path, kFileLimit);
  if (!text) {
    auto error = std::move(text).error();
    error.blame = Blame::site;
    return std::move(error).within("lease file");
  }
  return LeaseTable{*std::move(text), path};
}

Result<Locked> lock_and_read(const std::string& path, std::chrono::milliseconds wait) {
  const auto lock_path = path + ".lock";
  UniqueFd lock{::open(lock_path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!lock) return os_error(Blame::site, "open " + lock_path, errno);
  if (auto held = lock_exclusively(lock.value(), lock_path, wait); !held) {
    held.error().blame = Blame::busy;
    return held.error();
  }
  // Of a writer that was killed; its next one may be another node's, or never come.
  const auto slash = path.rfind('/') + 1;
  ::unlink((path.substr(0, slash) + temporary_name(path.substr(slash))).c_str());
  struct stat status {};
  auto table = read_table(path, status);
  if (!table) return std::move(table).error();
  return Locked{std::move(lock), *std::move(table), status};
}

Result<void> replace(const std::string& path, const Locked& locked) {
  return write_file(path, locked.table.text(),
                    {.mode = locked.status.st_mode & 07777,
                     .owner = FileOwner{locked.status.st_uid, locked.status.st_gid}});
}

Error none_left(const std::string& path, const LeaseTable& table) {
  const auto& leases = table.leases();
  const auto taken = std::count_if(leases.begin(), leases.end(),
                                   [](const Lease& lease) { return lease.job_id != 0; });
  std::string message = "no address left in " + path + ": " + std::to_string(taken) + " of " +
                        std::to_string(leases.size()) + " leased";
  if (!table.problems().empty()) {
    message += ", " + std::to_string(table.problems().size()) + " unusable lines, the first is " +
               table.problems().front().where.text() + " (" + table.problems().front().message +
               ")";
  }
  return {Blame::busy, message + "; try again later"};
}

}  // namespace

LeaseTable::LeaseTable(const std::string& text, std::string file_name)
    : file_name_{std::move(file_name)} {
  std::unordered_set<std::string> seen;
  const std::string_view all{text};
  for (std::size_t begin = 0; begin < all.size();) {
    const auto newline = all.find('\n', begin);
    const auto end = newline == std::string_view::npos ? all.size() : newline + 1;
    lines_.emplace_back(all.substr(begin, end - begin));
    begin = end;
    const auto number = static_cast<std::uint32_t>(lines_.size());
    const auto [body, line_end] = without_end(lines_.back());
    const auto content = body.find_first_not_of(" \t");
    if (content == std::string_view::npos || body[content] == '#') continue;
    auto verdict = read_line(body);
    if (verdict.lease && !seen.insert(verdict.lease->address).second) {
      verdict = {{}, "repeats the address " + verdict.lease->address + ": remove one of the lines"};
    }
    if (!verdict.lease) {
      if (line_end.empty()) verdict.problem += " (the last line is torn)";
      problems_.push_back({{file_name_, number, 1}, std::move(verdict.problem)});
      continue;
    }
    leases_.push_back({std::move(verdict.lease->address), verdict.lease->job_id, number});
  }
}

std::string LeaseTable::text() const {
  std::string all;
  for (const auto& line : lines_) all += line;
  return all;
}

bool LeaseTable::set(std::string_view address, std::uint64_t job_id) {
  const auto lease = std::find_if(leases_.begin(), leases_.end(), [&](const Lease& candidate) {
    return candidate.address == address;
  });
  if (lease == leases_.end()) return false;
  auto& line = lines_[lease->line - 1];
  const std::string end{without_end(line).end};
  line = lease->address + (job_id == 0 ? ";;" : ";" + std::to_string(job_id) + ";USED") + end;
  lease->job_id = job_id;
  return true;
}

LeaseFile::LeaseFile(std::string path) : path_{std::move(path)} {}

Result<LeaseTable> LeaseFile::read() const {
  struct stat status {};
  return read_table(path_, status);
}

Result<std::string> LeaseFile::lease(std::uint64_t job_id, const std::string& preferred,
                                     const std::vector<std::string>& held, const Intend& intend,
                                     std::chrono::milliseconds wait) {
  auto locked = lock_and_read(path_, wait);
  if (!locked) return std::move(locked).error();
  const std::unordered_set<std::string> avoided{held.begin(), held.end()};
  const auto& leases = locked->table.leases();
  auto chosen = leases.end();
  if (!preferred.empty()) {
    chosen = std::find_if(leases.begin(), leases.end(), [&](const Lease& lease) {
      return lease.address == preferred && (lease.job_id == 0 || lease.job_id == job_id);
    });
  }
  if (chosen == leases.end()) {
    chosen = std::find_if(leases.begin(), leases.end(), [&](const Lease& lease) {
      return lease.job_id == 0 && avoided.count(lease.address) == 0;
    });
  }
  if (chosen == leases.end()) return none_left(path_, locked->table);
  const auto address = chosen->address;
  const bool is_ours = chosen->job_id == job_id;
  if (auto intended = intend(address); !intended) return std::move(intended).error();
  if (is_ours) return address;
  locked->table.set(address, job_id);
  if (auto written = replace(path_, *locked); !written) return std::move(written).error();
  return address;
}

Result<void> LeaseFile::release(std::uint64_t job_id, const std::string& address,
                                std::chrono::milliseconds wait) {
  auto locked = lock_and_read(path_, wait);
  if (!locked) return std::move(locked).error();
  const auto& leases = locked->table.leases();
  const bool holds = std::any_of(leases.begin(), leases.end(), [&](const Lease& lease) {
    return lease.address == address && lease.job_id == job_id;
  });
  if (!holds) return {};
  locked->table.set(address, 0);
  return replace(path_, *locked);
}

Result<std::vector<std::string>> LeaseFile::release_all(std::uint64_t job_id,
                                                        std::chrono::milliseconds wait) {
  auto locked = lock_and_read(path_, wait);
  if (!locked) return std::move(locked).error();
  std::vector<std::string> released;
  for (const auto& lease : locked->table.leases()) {
    if (lease.job_id == job_id) released.push_back(lease.address);
  }
  if (released.empty()) return released;
  for (const auto& address : released) locked->table.set(address, 0);
  if (auto written = replace(path_, *locked); !written) return std::move(written).error();
  return released;
}

std::string mac_of(std::string_view address) {
  in_addr parsed{};
  if (::inet_pton(AF_INET, std::string{address}.c_str(), &parsed) != 1) return {};
  std::array<unsigned char, 4> bytes{};
  std::copy_n(reinterpret_cast<const unsigned char*>(&parsed.s_addr), bytes.size(), bytes.begin());
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "02:00:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
                bytes[3]);
  return text.data();
}

}  // namespace cloud
