// SPDX-License-Identifier: Apache-2.0
// The values of options one by one, as the plugin checks them: what the plugin takes, the prolog
// takes, too.
#include "core/job/request.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

template <typename Parsed>
void try_alone(Parsed (*parse)(std::string_view), std::string_view text, const char* variable) {
  const auto value = parse(text);
  const auto request = cloud::parse_request(
      [&](std::string_view name) -> std::optional<std::string> {
        if (name == variable) return std::string{text};
        return std::nullopt;
      },
      "lxc");
  FUZZ_PROMISE(value.has_value() == request.has_value());
  if (!value) FUZZ_PROMISE(fuzz::is_harmless(value.error().message));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  try_alone(cloud::parse_type, text, "SPANK_cloud_type");
  try_alone(cloud::parse_image, text, "SPANK_cloud_image");
  try_alone(cloud::parse_create, text, "SPANK_cloud_create");
  try_alone(cloud::parse_run, text, "SPANK_cloud_run");
  try_alone(cloud::parse_mounts, text, "SPANK_cloud_mount");
  try_alone(cloud::parse_ready, text, "SPANK_cloud_ready");
  try_alone(cloud::parse_timeout, text, "SPANK_cloud_timeout");
  try_alone(cloud::parse_user_data, text, "SPANK_cloud_user_data");
  const auto shown = cloud::printable(text);
  FUZZ_PROMISE(fuzz::is_harmless(shown) && shown.size() <= 83);
  return 0;
}
