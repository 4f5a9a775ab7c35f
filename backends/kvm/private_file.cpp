// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/private_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <spank-cloud/backend.hpp>
#include <spank-cloud/base/uninterrupted.hpp>
#include <spank-cloud/descriptor.hpp>
#include <string_view>

namespace cloud::kvm {

void write_private_file(const std::string& path, const std::string& text) {
  ::unlink(path.c_str());
  const sdk::Descriptor file{
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) throw sdk::system_failure(CLOUD_E_NODE, "make " + path, errno);
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto count =
        uninterrupted([&] { return ::write(file.value(), rest.data(), rest.size()); });
    if (count < 0) throw sdk::system_failure(CLOUD_E_NODE, "write " + path, errno);
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace cloud::kvm
