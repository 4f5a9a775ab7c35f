// SPDX-License-Identifier: Apache-2.0
//
// What the engine says to each wrong backend file. The modules are built by tests/abi.
#include <gmock/gmock.h>
#include <spank-cloud/backend_abi.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/backend/backend.hpp"
#include "core/system/trusted_path.hpp"

namespace cloud {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kModules = CLOUD_TEST_MODULES;
const std::string kBackends = CLOUD_TEST_BACKENDS;

class BackendLoader : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root's files are loaded, and this is not root";
    for (const auto& dir : {kModules, kBackends}) {
      if (auto trusted = require_trusted(dir); !trusted) {
        GTEST_SKIP() << "the build tree is not trusted: " << trusted.error().message;
      }
    }
    scratch_ = kModules + "/scratch-XXXXXX";
    ASSERT_NE(::mkdtemp(scratch_.data()), nullptr);
  }

  void TearDown() override {
    if (!scratch_.empty()) fs::remove_all(scratch_);
  }

  // The refusal of a module, after which the null backend still loads.
  static std::string refusal(const std::string& name, const std::string& dir = kModules) {
    const auto table = load_backend_table(dir, name);
    const auto null = load_backend_table(kBackends, "null");
    if (!null) return "the null backend does not load any more: " + null.error().message;
    if (table) return "loaded";
    if (table.error().blame != Blame::site) return "not the site's";
    return table.error().message;
  }

  std::string copy_of(const std::string& name) {
    const auto path = scratch_ + "/cloud_backend_" + name + ".so";
    fs::copy_file(kModules + "/cloud_backend_" + name + ".so", path);
    return path;
  }

  std::string scratch_;
};

std::string file_of(const std::string& name) {
  return kModules + "/cloud_backend_" + name + ".so: ";
}

TEST_F(BackendLoader, LoadsTheNullBackend) {
  const auto table = load_backend_table(kBackends, "null");

  ASSERT_TRUE(table) << table.error().message;
  EXPECT_STREQ((*table)->name, "null");
  EXPECT_EQ((*table)->capabilities, 0u);
}

TEST_F(BackendLoader, RefusesANameThatIsNone) {
  EXPECT_THAT(refusal("../null"), HasSubstr("'../null' is no backend name"));
  EXPECT_THAT(refusal("Null"), HasSubstr("is of lower-case letters"));
  EXPECT_THAT(refusal(""), HasSubstr("'' is no backend name"));
}

TEST_F(BackendLoader, RefusesARelativeFolder) {
  EXPECT_THAT(refusal("null", "backends"),
              HasSubstr("backend folder 'backends' shall be an absolute path"));
}

TEST_F(BackendLoader, ListsTheFolderWhereTheFileIsMissing) {
  copy_of("liar");
  copy_of("codes");

  EXPECT_THAT(refusal("kvm", scratch_), AllOf(StartsWith("no backend 'kvm': " + scratch_ +
                                                         "/cloud_backend_kvm.so does not exist"),
                                              HasSubstr("in that folder: codes, liar)")));
  EXPECT_THAT(refusal("kvm", scratch_ + "/none"),
              HasSubstr("there are no backends in that folder"));
}

TEST_F(BackendLoader, SurvivesALinkToItself) {
  const auto path = scratch_ + "/cloud_backend_round.so";
  fs::create_symlink(path, path);

  EXPECT_THAT(refusal("round", scratch_), HasSubstr("Too many levels of symbolic links"));
}

TEST_F(BackendLoader, RefusesAGroupWritableFile) {
  const auto path = copy_of("longer_table");
  ASSERT_TRUE(load_backend_table(scratch_, "longer_table"));
  fs::permissions(path, fs::perms::group_write, fs::perm_options::add);

  EXPECT_THAT(
      refusal("longer_table", scratch_),
      AllOf(StartsWith("backend 'longer_table' is not loaded: "), HasSubstr("chmod go-w " + path)));
}

TEST_F(BackendLoader, RefusesAFileInAFolderOfOthers) {
  copy_of("longer_table");
  ASSERT_EQ(::chown(scratch_.c_str(), 65534, 65534), 0);

  EXPECT_THAT(refusal("longer_table", scratch_), HasSubstr(scratch_ + " belongs to uid 65534"));
}

TEST_F(BackendLoader, RefusesAFileBelowAFolderThatOthersCanWrite) {
  const auto inner = scratch_ + "/inner";
  fs::create_directory(inner);
  fs::rename(copy_of("longer_table"), inner + "/cloud_backend_longer_table.so");
  ASSERT_TRUE(load_backend_table(inner, "longer_table"));
  fs::permissions(scratch_, fs::perms::others_write, fs::perm_options::add);

  EXPECT_THAT(refusal("longer_table", inner),
              HasSubstr(scratch_ + " (mode 0702) is writable by others than root: choose a path"));
}

TEST_F(BackendLoader, RefusesALinkToAFileOfOthers) {
  const auto path = copy_of("longer_table");
  ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
  fs::create_symlink(path, scratch_ + "/cloud_backend_link.so");

  EXPECT_THAT(refusal("link", scratch_), HasSubstr(path + " belongs to uid 65534 and must"));
}

TEST_F(BackendLoader, RefusesATextFile) {
  EXPECT_EQ(refusal("text_file"),
            file_of("text_file") + "is a text file and shall be a shared object");
}

TEST_F(BackendLoader, RefusesAnEmptyAndATornFile) {
  std::ofstream{scratch_ + "/cloud_backend_empty.so"};
  fs::resize_file(copy_of("liar"), 100);

  EXPECT_THAT(refusal("empty", scratch_), HasSubstr("is not an ELF shared object"));
  EXPECT_THAT(refusal("liar", scratch_),
              HasSubstr("is torn, or is no shared object of this machine's kind"));
}

TEST_F(BackendLoader, SaysWhatTheLinkerMisses) {
  EXPECT_THAT(
      refusal("undefined_symbol"),
      AllOf(StartsWith(file_of("undefined_symbol") + "cannot be loaded: "),
            HasSubstr("undefined symbol: nobody_defines_this"), Not(HasSubstr("Bad file"))));
}

TEST_F(BackendLoader, RefusesACapabilityWithoutItsFunction) {
  EXPECT_EQ(refusal("console_liar"),
            file_of("console_liar") + "it claims CLOUD_CAP_CONSOLE and its table has no console()");
  EXPECT_EQ(refusal("no_formats"), file_of("no_formats") + "it names no image_formats");
}

TEST_F(BackendLoader, RefusesALibraryThatIsNoBackend) {
  EXPECT_EQ(refusal("no_entry"),
            file_of("no_entry") + "is no backend: it does not export cloud_backend_entry_v1");
}

TEST_F(BackendLoader, RefusesALibraryThatExportsMore) {
  EXPECT_THAT(refusal("two_exports"), AllOf(StartsWith(file_of("two_exports") +
                                                       "it exports 2 symbols, such as log_message"),
                                            HasSubstr("build it with cloud_add_backend()")));
}

TEST_F(BackendLoader, SurvivesWhatCrashesWhileItIsLoaded) {
  EXPECT_EQ(refusal("crashing_constructor"),
            file_of("crashing_constructor") +
                "crashes (Segmentation fault) while it is being loaded: ask its author");
  EXPECT_EQ(
      refusal("crashing_entry"),
      file_of("crashing_entry") + "crashes (Aborted) while it is being loaded: ask its author");
}

TEST_F(BackendLoader, SurvivesWhatEndsTheProcessWhileItIsLoaded) {
  EXPECT_EQ(refusal("exiting_constructor"),
            file_of("exiting_constructor") +
                "ends the process (exit status 0) while it is being loaded: ask its author");
}

// The trial's own load and this process's are two; a process that finds the note loads it once.
TEST_F(BackendLoader, TriesAFileOnceForEachOfItsVersions) {
  const auto path = copy_of("once");
  const auto count = scratch_ + "/count";
  const auto notes = scratch_ + "/notes";
  ::setenv("CLOUD_TEST_COUNT", count.c_str(), 1);
  const auto loads_of_a_process = [&] {
    fs::remove(count);
    EXPECT_EXIT(::_exit(load_backend_table(scratch_, "once", notes) ? 0 : 1),
                testing::ExitedWithCode(0), "");
    return fs::file_size(count);
  };

  EXPECT_EQ(loads_of_a_process(), 2u);
  EXPECT_EQ(loads_of_a_process(), 1u);
  fs::last_write_time(path, fs::file_time_type::clock::now());
  EXPECT_EQ(loads_of_a_process(), 2u);
  EXPECT_EQ(fs::status(notes).permissions(), fs::perms::owner_all);
}

TEST_F(BackendLoader, RemembersNoFileThatCrashed) {
  const auto notes = scratch_ + "/notes";

  EXPECT_FALSE(load_backend_table(kModules, "crashing_constructor", notes));
  EXPECT_FALSE(fs::exists(notes));
}

TEST_F(BackendLoader, NeverUnloads) {
  const auto path = copy_of("longer_table");
  BackendConfig config;
  config.name = "longer_table";

  { ASSERT_TRUE(open_backend(scratch_, config, {})); }

  std::ifstream maps{"/proc/self/maps"};
  const std::string text{std::istreambuf_iterator<char>{maps}, {}};
  EXPECT_THAT(text, HasSubstr(path));
}

TEST_F(BackendLoader, NamesBothMajors) {
  EXPECT_EQ(refusal("other_major"),
            file_of("other_major") +
                "it speaks backend ABI 2 and this release speaks 1: install "
                "a matching build");
}

TEST_F(BackendLoader, CatchesWhatTheEntryPointThrows) {
  EXPECT_EQ(refusal("throwing_entry"),
            file_of("throwing_entry") + "cloud_backend_entry_v1() throws: no licence found");
}

TEST_F(BackendLoader, RefusesNoTable) {
  EXPECT_THAT(refusal("null_table"), HasSubstr("cloud_backend_entry_v1() returned no table"));
}

TEST_F(BackendLoader, RefusesAShortTable) {
  EXPECT_THAT(refusal("short_table"), HasSubstr("its table has 152 bytes and ABI 1.0 needs 168"));
}

TEST_F(BackendLoader, RefusesALiar) {
  EXPECT_THAT(refusal("liar"),
              HasSubstr("it calls itself 'honest': rename the file or the backend"));
}

TEST_F(BackendLoader, RefusesATableWithoutVersion) {
  EXPECT_THAT(refusal("no_version"), HasSubstr("it has no version"));
}

TEST_F(BackendLoader, NamesEveryMissingFunction) {
  EXPECT_EQ(refusal("missing_function"),
            file_of("missing_function") + "its table has no stop(), list()");
}

TEST_F(BackendLoader, RefusesAnUnknownBitThatMustBeUnderstood) {
  EXPECT_THAT(refusal("must_understand"),
              HasSubstr("(must_understand 0x20): install a newer spank-cloud"));
}

TEST_F(BackendLoader, RefusesOptionsThatAreNotWellFormed) {
  EXPECT_THAT(refusal("bad_option_type"),
              HasSubstr("its option 0 ('colour') has the unknown type 9"));
  EXPECT_THAT(refusal("taken_option"),
              HasSubstr("its option 1 has the key 'image', which is taken"));
  EXPECT_THAT(refusal("no_options"), HasSubstr("it counts 3 options and has none"));
}

TEST_F(BackendLoader, AcceptsABackendWithoutOptions) {
  const auto table = load_backend_table(kModules, "optionless");

  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ((*table)->option_count, 0u);
  EXPECT_EQ((*table)->options, nullptr);
  BackendConfig config;
  config.name = "optionless";
  EXPECT_TRUE(open_backend(kModules, config, {}));
  config.settings.push_back({"colour", std::string{"red"}, {}, {}});
  EXPECT_FALSE(open_backend(kModules, config, {}));
}

TEST_F(BackendLoader, AcceptsALongerTableOfALaterMinor) {
  const auto table = load_backend_table(kModules, "longer_table");

  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ((*table)->abi_minor, 7u);
  EXPECT_GT((*table)->struct_size, sizeof(cloud_backend_v1));
}

TEST_F(BackendLoader, OpensABackendOfALaterMinor) {
  BackendConfig config;
  config.name = "longer_table";

  auto backend = open_backend(kModules, config, {});

  ASSERT_TRUE(backend) << backend.error().message;
  EXPECT_FALSE((*backend)->has_namespaces());
  EXPECT_TRUE((*backend)->probe());
}

}  // namespace
}  // namespace cloud
