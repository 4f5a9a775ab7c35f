// SPDX-License-Identifier: Apache-2.0
// core/job/request: the variables that anybody can set for a job. Input: NAME=VALUE, separated by
// NUL bytes.
#include "core/job/request.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace {

bool is_name(std::string_view text, std::string_view more) {
  return !text.empty() && text.size() <= cloud::kNameMax && text.find("..") == text.npos &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != more.npos;
         });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && text.size() <= cloud::kPathMax && fuzz::is_harmless(text) &&
         (std::string{text} + "/").find("/../") == std::string::npos &&
         text.find("//") == text.npos;
}

void hold_to_grammar(const cloud::Request& request) {
  FUZZ_PROMISE(is_name(request.type, "_"));
  FUZZ_PROMISE(request.image.empty() || is_name(request.image, "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-"));
  FUZZ_PROMISE(request.mounts.size() <= cloud::kMountsMax);
  for (const auto& mount : request.mounts) {
    FUZZ_PROMISE(is_path(mount.source) && is_path(mount.target) && mount.target != "/");
    FUZZ_PROMISE(mount.source.find_first_of(",:") == std::string::npos);
    FUZZ_PROMISE(mount.target.find_first_of(",:") == std::string::npos);
    for (const std::string kernel : {"/proc/", "/sys/", "/dev/"}) {
      FUZZ_PROMISE(!(mount.target + "/").starts_with(kernel));
    }
  }
  FUZZ_PROMISE(!request.timeout ||
               (request.timeout->count() >= 1 && request.timeout->count() <= 86400));
  FUZZ_PROMISE(request.user_data.empty() || is_path(request.user_data));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto variables = fuzz::fields_of(fuzz::text_of(data, size));
  const cloud::Lookup lookup = [&](std::string_view name) -> std::optional<std::string> {
    for (const auto& variable : variables) {
      if (variable.size() > name.size() && variable.starts_with(name) &&
          variable[name.size()] == '=')
        return variable.substr(name.size() + 1);
    }
    return std::nullopt;
  };
  for (const char* type_of_site : {"", "lxc"}) {
    const auto request = cloud::parse_request(lookup, type_of_site);
    if (!request) {
      FUZZ_PROMISE(request.error().blame == cloud::Blame::user);
      FUZZ_PROMISE(fuzz::is_harmless(request.error().message));
    } else if (*request) {
      hold_to_grammar(**request);
    }
  }
  return 0;
}
