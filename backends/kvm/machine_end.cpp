// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/machine_end.hpp"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/network_interface.hpp>

#include "backends/kvm/domain_xml.hpp"
#include "backends/kvm/first_failure.hpp"
#include "backends/kvm/libvirt_cgroups.hpp"
#include "backends/kvm/machine_log.hpp"
#include "backends/kvm/qemu_process.hpp"

namespace cloud::kvm {
namespace {

using sdk::Deadline;
using sdk::Failure;
using sdk::in_seconds;

constexpr std::int64_t kQuestionSeconds = 10;
// For what is done without libvirtd.
constexpr std::int64_t kReservedSeconds = 8;

// libvirtd may come to a request only after the one who sent it was killed.
void end_domain(const LibvirtDaemon& daemon, const cloud_machine_ref& ref, Deadline deadline) {
  constexpr int kLooks = 10;
  constexpr timespec kPause{0, 100'000'000};
  for (int look = 0; look < kLooks; ++look) {
    if (daemon.destroy(ref.name, in_seconds(kQuestionSeconds, deadline))) return;
    if (::access(creation_mark(ref.work_dir).c_str(), F_OK) != 0 || deadline.expired()) return;
    ::nanosleep(&kPause, nullptr);
  }
}

void end_domain_or_say(const cloud_machine_ref& ref, const MachineKnowers& knowers,
                       Deadline deadline, FirstFailure& failure) {
  try {
    end_domain(knowers.daemon, ref, deadline);
  } catch (const Failure& problem) {
    if (problem.code() == CLOUD_E_INTERNAL) {
      failure.keep(problem);
    } else {
      // The domain is transient: libvirtd forgets it when it sees that its process has gone.
      knowers.host.log(CLOUD_WARN, problem.what() + std::string{"; ending its QEMU instead"});
    }
  }
}

// Also where the time is up, a process that is killed is given a moment to die of it.
void end_qemu(const cloud_machine_ref& ref, Deadline deadline) {
  const Deadline end{std::max(deadline.nanoseconds(), in_seconds(1).nanoseconds())};
  if (const auto stays = end_processes(leftovers(ref.work_dir, ref.name), end); stays != 0) {
    throw Failure{CLOUD_E_TIMEOUT, "QEMU, process " + std::to_string(stays) + " of machine '" +
                                       ref.name + "', has been killed and is still there"};
  }
}

}  // namespace

void end_machine(const cloud_machine_ref& ref, const MachineKnowers& knowers, Deadline deadline) {
  FirstFailure failure;
  const auto interface = nic_name(ref.name);
  // First of all: it sends as long as it is there, whatever becomes of the rest; and again when
  // nothing can make it any more.
  failure.of([&] { sdk::delete_interface(interface); });
  end_domain_or_say(ref, knowers, seconds_before(deadline, kReservedSeconds), failure);
  failure.of([&] { end_qemu(ref, seconds_before(deadline, 1)); });
  (void)knowers.servers.end(ref.name, seconds_before(deadline, 1));
  failure.of([&] { sdk::delete_interface(interface); });
  remove_libvirt_cgroups(ref.name);
  if (!knowers.log_dir.empty() && !failure.is(CLOUD_E_INTERNAL)) {
    remove_logs(knowers.log_dir, ref.name);
  }
  failure.rethrow();
}

// Of the id that the machine's disks are of; before it has a seed, it has no QEMU either.
std::vector<sdk::Process> leftovers(const std::string& work_dir, const std::string& machine) {
  struct stat seed {};
  if (::stat((work_dir + "/seed.iso").c_str(), &seed) != 0 || seed.st_uid == 0) return {};
  return processes_of(seed.st_uid, machine);
}

std::string creation_mark(const std::string& work_dir) {
  return work_dir + "/creating";
}

Deadline seconds_before(Deadline deadline, std::int64_t seconds) {
  const auto half = deadline.remaining() / 2;
  return Deadline{deadline.nanoseconds() - std::min(seconds * 1000000000, half)};
}

}  // namespace cloud::kvm
