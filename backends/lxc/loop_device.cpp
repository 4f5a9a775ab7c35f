// SPDX-License-Identifier: Apache-2.0
#include "backends/lxc/loop_device.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/trusted_path.hpp>
#include <spank-cloud/base/uninterrupted.hpp>

namespace cloud::lxc {

using sdk::system_failure;

LoopDevice attach_loop_device(int file, const std::string& name) {
  const Descriptor image{uninterrupted([&] { return open_for_reading(file); })};
  if (!image) throw system_failure(CLOUD_E_CONFIG, "open image " + name, errno);
  const Descriptor control{::open("/dev/loop-control", O_RDWR | O_CLOEXEC)};
  if (!control) throw system_failure(CLOUD_E_NODE, "open /dev/loop-control", errno);
  // Somebody else may take the free device between the two calls.
  for (int attempt = 0; attempt < 64; ++attempt) {
    const int number = ::ioctl(control.value(), LOOP_CTL_GET_FREE);
    if (number < 0) throw system_failure(CLOUD_E_NODE, "find a free loop device", errno);
    LoopDevice loop{"/dev/loop" + std::to_string(number), {}};
    loop.device = Descriptor{::open(loop.path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!loop.device) throw system_failure(CLOUD_E_NODE, "open " + loop.path, errno);
    loop_config config{};
    config.fd = static_cast<__u32>(image.value());
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    if (::ioctl(loop.device.value(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY) throw system_failure(CLOUD_E_NODE, "set up " + loop.path, errno);
  }
  throw sdk::Failure{CLOUD_E_NODE, "no loop device could be had in 64 attempts"};
}

}  // namespace cloud::lxc
