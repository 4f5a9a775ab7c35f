// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <spank-cloud/backend_abi.h>

#include "core/backend/description.hpp"

namespace cloud {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr cloud_option kOptions[] = {
    {"uri", CLOUD_STRING, 1, nullptr, "Where the daemon\nanswers."},
    {"depth", CLOUD_INT, 0, "7", "How deep."},
    {"tag", CLOUD_STRING, 0, "", "A word."},
    {"strict", CLOUD_BOOL, 0, "true", ".so \"x\" -\\n 'y'"},
};
constexpr cloud_option kImageOptions[] = {{"firmware", CLOUD_STRING, 0, nullptr, "bios or uefi."}};

cloud_backend_v1 some_table() {
  cloud_backend_v1 table{};
  table.struct_size = sizeof table;
  table.abi_minor = 3;
  table.name = "mine";
  table.version = "2.1";
  table.capabilities = CLOUD_CAP_NAMESPACES | CLOUD_CAP_CONSOLE;
  table.options = kOptions;
  table.option_count = std::size(kOptions);
  table.image_options = kImageOptions;
  table.image_option_count = std::size(kImageOptions);
  table.image_formats = "raw qcow2";
  return table;
}

TEST(BackendDescription, SaysWhatTheTableSays) {
  EXPECT_EQ(describe_backend(some_table(), "/lib/cloud_backend_mine.so"),
            R"(backend:       mine 2.1
file:          /lib/cloud_backend_mine.so
ABI:           1.3
capabilities:  namespaces (tasks run inside), console (cloudctl console)
image formats: raw (default), qcow2
options of [backend.mine]:
  uri (string, required)
      Where the daemon answers.
  depth (integer, default 7)
      How deep.
  tag (string, default "")
      A word.
  strict (boolean, default true)
      .so "x" -\n 'y'
options of an [image.NAME]:
  firmware (string)
      bios or uefi.
)");
}

TEST(BackendDescription, SaysThatThereIsNothing) {
  auto table = some_table();
  table.capabilities = 0;
  table.option_count = 0;
  table.image_option_count = 0;

  const auto text = describe_backend(table, "/x.so");

  EXPECT_THAT(text, HasSubstr("capabilities:  none\n"));
  EXPECT_THAT(text, HasSubstr("options of [backend.mine]: none\n"));
  EXPECT_THAT(text, HasSubstr("options of an [image.NAME]: none\n"));
}

TEST(BackendDescription, NamesAbilitiesOfALaterRelease) {
  auto table = some_table();
  table.capabilities = std::uint64_t{1} << 40;

  EXPECT_THAT(describe_backend(table, "/x.so"),
              HasSubstr("capabilities:  others that this release does not know\n"));
}

TEST(BackendManual, HasEveryOption) {
  const auto page = backend_manual(some_table());

  EXPECT_THAT(page, HasSubstr(".TH SPANK\\-CLOUD\\-BACKEND\\-MINE 7 \"\" \"mine 2.1\""));
  EXPECT_THAT(page, HasSubstr("spank\\-cloud\\-backend\\-mine \\- machines of type mine\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fBuri\\fR (string, required)\nWhere the daemon answers.\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fBtag\\fR (string, default \\(dq\\(dq)\nA word.\n"));
  EXPECT_THAT(page, HasSubstr(".SH IMAGE OPTIONS\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fBfirmware\\fR (string)\nbios or uefi.\n"));
}

TEST(BackendManual, TakesNoTextForACommandOfRoff) {
  const auto page = backend_manual(some_table());

  EXPECT_THAT(page, HasSubstr("\n\\&.so \\(dqx\\(dq \\-\\en 'y'\n"));
  EXPECT_THAT(page, Not(HasSubstr("\n.so")));
}

TEST(BackendManual, HasNoSectionWithoutOptions) {
  auto table = some_table();
  table.option_count = 0;
  table.image_option_count = 0;

  EXPECT_THAT(backend_manual(table), Not(HasSubstr("OPTIONS")));
}

}  // namespace
}  // namespace cloud
