// SPDX-License-Identifier: Apache-2.0
// account_files.hpp of the SDK: an image's /etc/passwd and /etc/group, and names from the site's
// directory. Input: the user's name, home, shell and two names of groups, and the image's file,
// separated by NUL bytes.
#include <spank-cloud/account_files.hpp>

#include "tests/fuzz/fuzz.hpp"

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::size_t lines_with_id(const std::string& text, const std::string& id) {
  const auto lines = lines_of(text);
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
    return cloud::sdk::detail::account_id(line) == id;
  }));
}

bool has_fields(const std::string& line, long count) {
  return std::count(line.begin(), line.end(), ':') == count - 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto fields = fuzz::fields_of(fuzz::text_of(data, size));
  fields.resize(std::max<std::size_t>(fields.size(), 6));
  const std::uint32_t groups[] = {2000};
  const char* names[] = {fields[3].c_str(), fields[4].c_str()};
  cloud_user user{};
  user.uid = 1000;
  user.gid = 1001;
  user.name = fields[0].c_str();
  user.home = fields[1].c_str();
  user.shell = fields[2].c_str();
  user.groups = groups;
  user.group_count = 1;
  user.group_names = names;
  const auto& of_image = fields[5];
  const auto passwd = cloud::sdk::passwd_text(user, of_image, "/bin/sh");
  FUZZ_PROMISE(lines_with_id(passwd, "1000") == 1);
  const auto in_front = of_image.empty() ? std::size_t{1} : std::size_t{0};
  const auto own = lines_of(passwd).at(in_front);
  FUZZ_PROMISE(cloud::sdk::detail::account_id(own) == "1000" && has_fields(own, 7));
  FUZZ_PROMISE(lines_of(passwd).size() <= lines_of(of_image).size() + in_front + 1);
  const auto group = cloud::sdk::group_text(user, of_image);
  FUZZ_PROMISE(lines_with_id(group, "1001") == 1 && lines_with_id(group, "2000") == 1);
  for (const auto at : {in_front, in_front + 1})
    FUZZ_PROMISE(has_fields(lines_of(group).at(at), 4));
  return 0;
}
