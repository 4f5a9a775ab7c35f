// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cstring>
#include <spank-cloud/descriptor.hpp>
#include <spank-cloud/network_interface.hpp>

namespace cloud::sdk {
namespace {

// In a network namespace of its own. What did not hold, or 0.
int try_with_a_held_tap() {
  if (::unshare(CLONE_NEWNET) != 0) return 1;
  const Descriptor tap{::open("/dev/net/tun", O_RDWR | O_CLOEXEC)};
  ifreq request{};
  std::strcpy(request.ifr_name, "vkheld");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (!tap || ::ioctl(tap.value(), TUNSETIFF, &request) != 0) return 2;
  if (::if_nametoindex("vkheld") == 0) return 3;
  delete_interface("vkheld");
  if (::if_nametoindex("vkheld") != 0) return 4;
  // Nothing leads anywhere from it any more.
  if (::write(tap.value(), "a frame that is long enough", 27) >= 0) return 5;
  delete_interface("vkheld");
  return 0;
}

TEST(DeleteInterface, EndsATapThatSomebodyHolds) {
  if (::geteuid() != 0) GTEST_SKIP() << "makes a network interface, and this is not root";
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/net/tun";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(try_with_a_held_tap());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace cloud::sdk
