// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/kvm_probe.hpp"

#include <fcntl.h>
#include <linux/stddef.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/bounded_call.hpp>
#include <spank-cloud/descriptor.hpp>
#include <stdexcept>
#include <string>
#include <vector>

// Before Linux 6.6 this is wrong in C++, where its empty structure has a size: the structures and
// the numbers of the requests would not be the kernel's.
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[]  // NOLINT(bugprone-reserved-identifier)
#include <linux/kvm.h>
static_assert(sizeof(kvm_cpuid2) == 8 && sizeof(kvm_msrs) == 8 && sizeof(kvm_msr_list) == 4);

// kvm_probe_guest.S
extern "C" const unsigned char kvm_probe_guest[];
extern "C" const unsigned char kvm_probe_guest_end[];

namespace cloud::kvm {
namespace {

using sdk::Descriptor;
using sdk::Failure;

// As in kvm_probe_guest.S.
constexpr std::size_t kMemory = 2 << 20;
constexpr std::size_t kOrigin = 0x1000;
constexpr std::size_t kTables = 0x4000;
constexpr std::size_t kFaultPage = 0x1f;
constexpr std::uint16_t kPort = 0x5a;
enum Stage : std::uint8_t {
  kReset = 0,
  kRealMode = 1,
  kProtectedMode = 2,
  kLongMode = 3,
  kMsrs = 4,
  kTimer = 5,
  kUserMode = 6,
  kSpeed = 7,
  kDone = 8,
  kFailed = 0xee
};

constexpr std::uint32_t kArchCapabilities = 0x10a;
// Time of a processor and not of the clock: a busy node is no bad KVM.
constexpr std::int64_t kProcessorMs = 1500;
constexpr std::int64_t kClockMs = 10000;

// A structure of the kernel's that ends in an array.
template <typename Head, typename Entry>
class Listed {
 public:
  explicit Listed(std::size_t count) : words_((sizeof(Head) + count * sizeof(Entry)) / 8 + 1) {}
  Head* get() noexcept { return reinterpret_cast<Head*>(words_.data()); }
  Head* operator->() noexcept { return get(); }

 private:
  std::vector<std::uint64_t> words_;
};

const char* name_of(std::uint8_t stage) {
  constexpr std::array<const char*, 8> kNames = {"its first instruction",
                                                 "real mode",
                                                 "protected mode",
                                                 "64-bit mode",
                                                 "the system registers",
                                                 "the timer's interrupt",
                                                 "user mode",
                                                 "a loop of 64-bit code"};
  return stage < kNames.size() ? kNames.at(stage) : "a check of its own";
}

std::int64_t milliseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

// The message of a lasting answer begins so; it crosses from the child to us.
constexpr std::string_view kLasting = "!";

std::string lasting(const std::string& reason) {
  return std::string{kLasting} + reason;
}

// Of a kind that stays.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename... Argument>
int ask(const Descriptor& of, const char* what, unsigned long request, Argument... argument) {
  const int answer = uninterrupted([&] { return ::ioctl(of.value(), request, argument...); });
  if (answer < 0) {
    throw Failure{CLOUD_E_NODE, std::string{"KVM refuses "} + what + ": " + std::strerror(errno)};
  }
  return answer;
}

// A KVM_RUN comes back at a signal; one that came just before it is followed by the next.
void interrupt_every_50_ms() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, nullptr);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGALRM);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  const itimerval period{{0, 50000}, {0, 50000}};
  ::setitimer(ITIMER_REAL, &period, nullptr);
}

class Guest {
 public:
  explicit Guest(const Descriptor& kvm) : kvm_{kvm} {
    vm_ = Descriptor{ask(kvm, "a virtual machine (KVM_CREATE_VM)", KVM_CREATE_VM, 0UL)};
    // Where Intel's processors without unrestricted guests need pages, out of the guest's way.
    std::uint64_t identity = 0xfffbc000;
    (void)uninterrupted([&] { return ::ioctl(vm_.value(), KVM_SET_IDENTITY_MAP_ADDR, &identity); });
    (void)uninterrupted([&] { return ::ioctl(vm_.value(), KVM_SET_TSS_ADDR, 0xfffbd000UL); });
    ask(vm_, "an interrupt controller (KVM_CREATE_IRQCHIP)", KVM_CREATE_IRQCHIP, 0UL);
    lay_out_memory();
    vcpu_ = Descriptor{ask(vm_, "a processor (KVM_CREATE_VCPU)", KVM_CREATE_VCPU, 0UL)};
    const auto size = ask(kvm, "KVM_GET_VCPU_MMAP_SIZE", KVM_GET_VCPU_MMAP_SIZE, 0UL);
    run_ = static_cast<kvm_run*>(map(static_cast<std::size_t>(size), vcpu_.value()));
    be_the_host();
    reset();
  }

  // The child that does all this ends right after it; the mappings go with it.
  std::string run() {
    // Not before: making a virtual machine can take longer than the period on a busy node, and KVM
    // gives it up at every signal.
    interrupt_every_50_ms();
    const auto end = milliseconds(CLOCK_MONOTONIC) + kClockMs;
    for (;;) {
      const int result = ::ioctl(vcpu_.value(), KVM_RUN, 0UL);
      if (result < 0 && errno != EINTR && errno != EAGAIN) {
        const auto reason = "KVM stops a guest in " + where() + ": " + std::strerror(errno);
        // The memory is the asking job's, and the next one may have more.
        return errno == ENOMEM ? reason : lasting(reason);
      }
      if (result == 0) {
        if (auto verdict = after_exit()) return *verdict;
      }
      if (milliseconds(CLOCK_PROCESS_CPUTIME_ID) > kProcessorMs) {
        return lasting("a guest does not get through " + where() + " within " +
                       std::to_string(kProcessorMs) +
                       " ms on this node's KVM, as if every instruction were emulated");
      }
      if (milliseconds(CLOCK_MONOTONIC) > end) return "a guest stands still in " + where();
    }
  }

 private:
  static void* map(std::size_t size, int file) {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) throw sdk::system_failure(CLOUD_E_NODE, "mmap for a guest", errno);
    return memory;
  }

  [[nodiscard]] std::string where() const { return name_of(stage_); }

  void lay_out_memory() {
    memory_ = static_cast<unsigned char*>(map(kMemory, -1));
    std::memcpy(memory_ + kOrigin, kvm_probe_guest,
                static_cast<std::size_t>(kvm_probe_guest_end - kvm_probe_guest));
    auto* table = reinterpret_cast<std::uint64_t*>(memory_ + kTables);
    constexpr std::uint64_t kUserPage = 7;
    constexpr std::size_t kEntries = 512;
    table[0] = (kTables + 0x1000) | kUserPage;
    table[kEntries] = (kTables + 0x2000) | kUserPage;
    table[kEntries + 3] = (kTables + 0x4000) | kUserPage;
    table[2 * kEntries] = (kTables + 0x3000) | kUserPage;
    for (std::size_t page = 0; page < kEntries; ++page) {
      if (page != kFaultPage) table[3 * kEntries + page] = page << 12 | kUserPage;
    }
    table[4 * kEntries + 503] = 0xfee0009b;  // the APIC: one uncached page of 2 MiB
    kvm_userspace_memory_region region{};
    region.memory_size = kMemory;
    region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory_);
    ask(vm_, "a guest's memory", KVM_SET_USER_MEMORY_REGION, &region);
  }

  // What QEMU's `-cpu host` does.
  void be_the_host() {
    constexpr std::uint32_t kMost = 256;
    Listed<kvm_cpuid2, kvm_cpuid_entry2> cpuid{kMost};
    cpuid->nent = kMost;
    ask(kvm_, "KVM_GET_SUPPORTED_CPUID", KVM_GET_SUPPORTED_CPUID, cpuid.get());
    ask(vcpu_, "the host's own CPUID", KVM_SET_CPUID2, cpuid.get());
    bool announced = false;
    for (std::uint32_t i = 0; i < cpuid->nent; ++i) {
      const auto& entry = cpuid->entries[i];
      if (entry.function == 7 && entry.index == 0) announced = (entry.edx >> 29 & 1) != 0;
    }
    if (announced && knows_arch_capabilities()) set_arch_capabilities();
  }

  [[nodiscard]] bool knows_arch_capabilities() const {
    constexpr std::uint32_t kMost = 1024;
    Listed<kvm_msr_list, std::uint32_t> known{kMost};
    known->nmsrs = kMost;
    ask(kvm_, "KVM_GET_MSR_INDEX_LIST", KVM_GET_MSR_INDEX_LIST, known.get());
    for (std::uint32_t i = 0; i < known->nmsrs; ++i) {
      if (known->indices[i] == kArchCapabilities) return true;
    }
    return false;
  }

  void set_arch_capabilities() {
    Listed<kvm_msrs, kvm_msr_entry> msrs{1};
    msrs->nmsrs = 1;
    msrs->entries[0].index = kArchCapabilities;
    const auto tell = [&](const Descriptor& of, unsigned long request) {
      return uninterrupted([&] { return ::ioctl(of.value(), request, msrs.get()); });
    };
    if (tell(kvm_, KVM_GET_MSRS) != 1) msrs->entries[0].data = 0;
    if (tell(vcpu_, KVM_SET_MSRS) != 1) {
      throw Refusal{"KVM refuses the MSR 0x10a that it announces, and QEMU ends there"};
    }
  }

  void reset() {
    kvm_sregs system{};
    ask(vcpu_, "KVM_GET_SREGS", KVM_GET_SREGS, &system);
    system.cs.base = 0;
    system.cs.selector = 0;
    ask(vcpu_, "KVM_SET_SREGS", KVM_SET_SREGS, &system);
    kvm_regs registers{};
    registers.rip = kOrigin;
    registers.rflags = 2;
    ask(vcpu_, "KVM_SET_REGS", KVM_SET_REGS, &registers);
  }

  // The verdict, "" for a guest that runs, or nothing where it goes on.
  std::optional<std::string> after_exit() {
    const auto reason = run_->exit_reason;
    if (reason == KVM_EXIT_INTR) return {};
    if (reason != KVM_EXIT_IO || run_->io.port != kPort) {
      const auto detail = reason == KVM_EXIT_INTERNAL_ERROR ? run_->internal.suberror : 0;
      return lasting("KVM gives up a guest in " + where() + " (exit " + std::to_string(reason) +
                     ", " + std::to_string(detail) + ")");
    }
    const auto said = *(reinterpret_cast<const std::uint8_t*>(run_) + run_->io.data_offset);
    if (said == kDone) return "";
    if (said == kFailed) return lasting("a guest sees a wrong processor in " + where());
    stage_ = said;
    return {};
  }

  const Descriptor& kvm_;
  Descriptor vm_;
  Descriptor vcpu_;
  unsigned char* memory_ = nullptr;
  kvm_run* run_ = nullptr;
  std::uint8_t stage_ = kReset;
};

std::string try_guest() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const Descriptor kvm{::open("/dev/kvm", O_RDWR | O_CLOEXEC)};
  if (!kvm) return std::string{"/dev/kvm cannot be opened: "} + std::strerror(errno);
  const auto version = [&] { return ::ioctl(kvm.value(), KVM_GET_API_VERSION, 0UL); };
  if (uninterrupted(version) != KVM_API_VERSION) {
    return "/dev/kvm is not KVM of API version 12";
  }
  try {
    return Guest{kvm}.run();
  } catch (const Refusal& refusal) {
    return lasting(refusal.what());
  }
}

}  // namespace

ProbeAnswer probe_kvm() {
  try {
    auto said = sdk::bounded_call("try a guest on KVM", try_guest, sdk::in_seconds(15));
    if (said.empty()) return {true, true, ""};
    if (said.starts_with(kLasting)) return {false, true, said.substr(kLasting.size())};
    return {false, false, said};
  } catch (const Failure& failure) {
    return {false, false, failure.what()};
  }
}

}  // namespace cloud::kvm
