// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <spank-cloud/backend.hpp>
#include <stdexcept>

#include "backends/kvm/console_socket.hpp"
#include "backends/kvm/domain_xml.hpp"
#include "backends/kvm/seed_content.hpp"
#include "backends/kvm/template_image.hpp"
#include "backends/kvm/xml_fragment.hpp"

namespace cloud::kvm {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Machine {
  cloud_image image{sizeof image, "deb", "/images/deb.qcow2", "qcow2", "auto", "", "", nullptr, 0};
  const char* group_names[2] = {"lab", "users"};
  std::uint32_t groups[1] = {200};
  cloud_user user{};
  const char* dns[1] = {"10.0.0.1"};
  cloud_network network{
      sizeof network, 24, "br0", "02:00:0a:00:00:05", "10.0.0.5", "10.0.0.1", dns, 1, 1};
  cloud_ssh ssh{sizeof ssh, "ssh-ed25519 AAAA spank-cloud\n", "-----PRIVATE-----\n",
                "ssh-ed25519 BBBB spank-cloud\n"};
  cloud_machine_spec spec{};
  DomainPlan plan;

  Machine() {
    user.struct_size = sizeof user;
    user.uid = 1000;
    user.gid = 100;
    user.name = "ada";
    user.home = "/home/ada";
    user.shell = "/bin/bash";
    user.groups = groups;
    user.group_names = group_names;
    user.group_count = 1;
    spec.struct_size = sizeof spec;
    spec.job_id = 42;
    spec.name = "sc-n1-42";
    spec.hostname = "n1-42";
    spec.work_dir = "/w";
    spec.image = &image;
    spec.user = &user;
    spec.network = &network;
    spec.ssh = &ssh;
    spec.user_data = "";
    plan.guest_memory = std::uint64_t{512} << 20;
    plan.nodes = {{0, {2, 3}}};
    plan.machine = "q35";
    plan.qemu = {1879113725, 106};
    plan.image.path = "/images/deb.qcow2";
    plan.overlay = "/w/disk.qcow2";
    plan.template_format = "qcow2";
    plan.seed = "/w/seed.iso";
    plan.console = "/w/console.sock";
    plan.nic = "vk0011223344";
    plan.tb_cache_mib = 128;
  }

  [[nodiscard]] pugi::xml_document domain() const {
    pugi::xml_document document;
    EXPECT_TRUE(document.load_string(domain_xml(spec, plan).c_str()));
    return document;
  }
};

std::string at(const pugi::xml_document& document, const char* path) {
  return document.select_node(path).attribute().value();
}
std::string text_at(const pugi::xml_document& document, const char* path) {
  return document.select_node(path).node().text().get();
}

TEST(SocketPath, HasAsManyBytesAsTheKernelAllows) {
  EXPECT_NO_THROW(require_socket_path(std::string(107, 'p')));
  try {
    require_socket_path(std::string(108, 'p'));
    FAIL() << "taken";
  } catch (const sdk::Failure& failure) {
    EXPECT_EQ(failure.code(), CLOUD_E_CONFIG);
    EXPECT_THAT(failure.what(), HasSubstr("has 108 bytes"));
    EXPECT_THAT(failure.what(), HasSubstr("state_dir"));
  }
}

TEST(DomainXml, SizesAndPinsTheGuestToTheJob) {
  const Machine machine;

  const auto domain = machine.domain();

  EXPECT_EQ(at(domain, "/domain/@type"), "qemu");
  EXPECT_EQ(text_at(domain, "/domain/memory[@unit='MiB']"), "512");
  EXPECT_EQ(text_at(domain, "/domain/vcpu[@cpuset='2,3']"), "2");
  EXPECT_EQ(at(domain, "/domain/cputune/vcpupin[@vcpu='0']/@cpuset"), "2");
  EXPECT_EQ(at(domain, "/domain/cputune/vcpupin[@vcpu='1']/@cpuset"), "3");
  EXPECT_EQ(at(domain, "/domain/cputune/emulatorpin/@cpuset"), "2,3");
  EXPECT_EQ(text_at(domain, "/domain/features/tcg/tb-cache"), "128");
  EXPECT_EQ(at(domain, "/domain/cpu/@mode"), "maximum");
}

TEST(DomainXml, GivesTheGuestACellForEachNodeOfTheHost) {
  Machine machine;
  machine.plan.nodes = {{0, {1}}, {1, {4, 5}}};
  machine.plan.shares = {{"mount0", "/w/mount0.sock"}};

  const auto domain = machine.domain();

  EXPECT_EQ(at(domain, "/domain/cpu/numa/cell[@id='0']/@cpus"), "0-0");
  EXPECT_EQ(at(domain, "/domain/cpu/numa/cell[@id='0']/@memory"), "170");
  EXPECT_EQ(at(domain, "/domain/cpu/numa/cell[@id='1']/@cpus"), "1-2");
  EXPECT_EQ(at(domain, "/domain/cpu/numa/cell[@id='1']/@memory"), "342");
  EXPECT_EQ(at(domain, "/domain/cpu/numa/cell[@id='1']/@memAccess"), "shared");
  EXPECT_EQ(at(domain, "/domain/numatune/memnode[@cellid='1']/@nodeset"), "1");
  EXPECT_EQ(at(domain, "/domain/cputune/vcpupin[@vcpu='2']/@cpuset"), "5");
}

TEST(DomainXml, RunsAsNobodyWhoCanLogInAndLeavesFilesTheirOwners) {
  const Machine machine;

  const auto domain = machine.domain();

  EXPECT_EQ(text_at(domain, "/domain/seclabel[@model='dac'][@type='static']/label"),
            "+1879113725:+106");
  EXPECT_EQ(at(domain, "/domain/seclabel/@relabel"), "no");
  EXPECT_EQ(domain.select_nodes("//source[@file]").size(), 3U);
  EXPECT_EQ(at(domain, "/domain/devices/disk/backingStore/source/@file"), "/images/deb.qcow2");
  EXPECT_EQ(at(domain, "/domain/devices/disk/backingStore/format/@type"), "qcow2");
  EXPECT_EQ(domain.select_nodes("/domain/devices/disk[target/@dev='vdb']/readonly").size(), 1U);
}

// What libvirtd would parse, and root with it.
TEST(DomainXml, GivesAGuestNoWayToTalkToLibvirtd) {
  const Machine machine;

  EXPECT_EQ(machine.domain().select_nodes("//channel").size(), 0U);
}

TEST(DomainXml, PinsTheNetwork) {
  const Machine machine;

  const auto domain = machine.domain();

  EXPECT_EQ(at(domain, "//interface/mac/@address"), "02:00:0a:00:00:05");
  EXPECT_EQ(at(domain, "//interface/port/@isolated"), "yes");
}

TEST(DomainXml, BootsAKernelDirectly) {
  Machine machine;
  machine.image.format = "kernel";
  machine.plan.image = {"/images/vmlinuz", "/images/initrd", 0};
  machine.plan.overlay.clear();

  const auto domain = machine.domain();

  EXPECT_EQ(text_at(domain, "/domain/os/kernel"), "/images/vmlinuz");
  EXPECT_EQ(text_at(domain, "/domain/os/initrd"), "/images/initrd");
  EXPECT_EQ(text_at(domain, "/domain/os/cmdline"), "console=ttyS0");
  EXPECT_EQ(domain.select_nodes("//disk").size(), 1U) << "the seed";
}

TEST(DomainXml, NoNameBecomesMarkup) {
  Machine machine;
  machine.plan.image.path = "/images/<&\"'>]]>.qcow2";
  machine.network.bridge = "br'0\"/><x";

  const auto domain = machine.domain();

  EXPECT_EQ(at(domain, "/domain/devices/disk/backingStore/source/@file"), machine.plan.image.path);
  EXPECT_EQ(at(domain, "//interface/source/@bridge"), machine.network.bridge);
  EXPECT_EQ(domain.select_nodes("//x").size(), 0U);
}

TEST(DomainXml, KnowsItsOwn) {
  const Machine machine;

  EXPECT_EQ(job_of_domain(domain_xml(machine.spec, machine.plan)), 42U);
  EXPECT_EQ(job_of_domain("<domain><name>sc-n1-42</name></domain>"), 0U);
  EXPECT_EQ(job_of_domain("not XML"), 0U);
}

TEST(DomainXml, NamesTheInterfaceWithinTheKernelsLimit) {
  EXPECT_EQ(nic_name("sc-n1-42").size(), 14U);
}

TEST(XmlFragment, AddsDevicesAndReplacesTheCpu) {
  Machine machine;
  machine.plan.extras.emplace_back(
      "<devices><watchdog model='i6300esb'/></devices><cpu mode='host-model'/>");

  const auto domain = machine.domain();

  EXPECT_EQ(at(domain, "/domain/devices/watchdog/@model"), "i6300esb");
  EXPECT_EQ(domain.select_nodes("/domain/devices").size(), 1U);
  EXPECT_EQ(at(domain, "/domain/cpu/@mode"), "host-model");
}

void expect_refusal(const char* text, const char* reason) {
  try {
    const XmlFragment fragment{text};
    ADD_FAILURE() << text << " was taken";
  } catch (const std::invalid_argument& problem) {
    EXPECT_THAT(problem.what(), HasSubstr(reason));
  }
}

TEST(XmlFragment, RefusesWhatBreaksAPromise) {
  expect_refusal("<memory>1</memory>", "<memory> cannot be set");
  expect_refusal("<seclabel type='none'/>", "<seclabel> cannot be set");
  expect_refusal("<devices>", "at byte");
  expect_refusal("words", "text outside of an element");
  expect_refusal("<devices><serial type='pty'/></devices>", "the machine's console is taken");
}

std::string content(const std::vector<SeedFile>& files, const std::string& path) {
  for (const auto& file : files) {
    if (file.path == path) return file.content;
  }
  return "no file " + path;
}

TEST(SeedContent, TellsTheGuestOfItself) {
  const Machine machine;
  SeedPlan plan;
  plan.mounts = {{"mount0", "/home/ada", false}, {"mount1", "/my data/50%", true}};

  const auto files = seed_files(machine.spec, plan);

  const auto env = content(files, "spank-cloud/machine.env");
  EXPECT_THAT(env, HasSubstr("HOSTNAME='n1-42'\n"));
  EXPECT_THAT(env, HasSubstr("ADDRESS='10.0.0.5/24'\n"));
  EXPECT_THAT(env, HasSubstr("USER_GROUPS='users:100 lab:200'\n"));
  EXPECT_THAT(env, HasSubstr("MOUNTS='mount0:/home/ada:rw mount1:/my%20data/50%25:ro'\n"));
  const auto network = nlohmann::json::parse(content(files, "network-config"));
  EXPECT_EQ(network["ethernets"]["eth0"]["addresses"][0], "10.0.0.5/24");
  EXPECT_EQ(network["ethernets"]["eth0"]["routes"][0]["via"], "10.0.0.1");
  EXPECT_EQ(nlohmann::json::parse(content(files, "meta-data"))["local-hostname"], "n1-42");
}

TEST(SeedContent, QuotesForTheShell) {
  EXPECT_EQ(shell_variable("A", "it's $(reboot)"), "A='it'\\''s $(reboot)'\n");
  EXPECT_EQ(shell_variable("A", "two\nlines"), "A='twolines'\n");
}

TEST(SeedContent, KeepsTheOrderOfUserData) {
  Machine machine;
  machine.spec.user_data = "#!/bin/sh\necho user\n";
  SeedPlan plan;
  plan.site_user_data = "#cloud-config\npackages: [vim]\n";

  const auto text = content(seed_files(machine.spec, plan), "user-data");

  const auto own = text.find("ed25519_private");
  const auto site = text.find("packages: [vim]");
  const auto user = text.find("echo user");
  EXPECT_LT(own, site);
  EXPECT_LT(site, user);
  EXPECT_NE(user, std::string::npos);
  EXPECT_THAT(text, HasSubstr("Content-Type: text/x-shellscript"));
}

class TemplateImage : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::getuid() != 0) GTEST_SKIP() << "needs root, whose the images are";
    ASSERT_EQ(::mkdir(folder_.c_str(), 0755), 0);
  }
  void TearDown() override {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  void write(const std::string& bytes, mode_t mode = 0644) {
    std::ofstream{path_, std::ios::binary} << bytes;
    ::chmod(path_.c_str(), mode);
  }
  std::string refusal(const char* format) {
    const cloud_image image{sizeof image, "deb", path_.c_str(), format, "auto", "", "", nullptr, 0};
    try {
      checked_ = check_template(image);
    } catch (const sdk::Failure& failure) {
      EXPECT_EQ(failure.code(), CLOUD_E_CONFIG);
      return failure.what();
    }
    return "taken";
  }
  // A qcow2 header of version 3; `backing` and `features` as in its specification.
  static std::string header(char backing, char features) {
    std::string bytes("QFI\xfb\0\0\0\3", 8);
    bytes += std::string("\0\0\0\0\0\0\0", 7) + backing;
    bytes.resize(72, '\0');
    bytes += std::string("\0\0\0\0\0\0\0", 7) + features;
    bytes.resize(104, '\0');
    return bytes;
  }

  std::string folder_ = "/var/lib/spank-cloud-template-test-" + std::to_string(::getpid());
  std::string path_ = folder_ + "/image";
  ImageFiles checked_;
};

TEST_F(TemplateImage, TakesAnImageThatStandsForItself) {
  auto bytes = header(0, 0);
  bytes[29] = 0x10;
  write(bytes);

  EXPECT_EQ(refusal("qcow2"), "taken");
  EXPECT_EQ(checked_.path, path_);
  EXPECT_EQ(checked_.size, 1U << 20) << "of the disk, and not of the file";
  write(std::string(513, 'x'));
  EXPECT_EQ(refusal("raw"), "taken");
  EXPECT_EQ(checked_.size, 1024U) << "in whole sectors";
}

// What was looked at on the way is the way that is gone later, also where a link leads through a
// folder of somebody else's.
TEST_F(TemplateImage, RefusesAWayThatOthersCanChange) {
  const auto link = folder_ + "/link";
  const auto theirs = folder_ + "/theirs";
  const auto images = theirs + "/images";
  ASSERT_EQ(::mkdir(theirs.c_str(), 0755), 0);
  ASSERT_EQ(::mkdir(images.c_str(), 0755), 0);
  ASSERT_EQ(::chown(theirs.c_str(), 12345, 12345), 0);
  ASSERT_EQ(::symlink(images.c_str(), link.c_str()), 0);
  const auto file = images + "/image";
  const auto direct = path_;
  path_ = link + "/image";
  write(header(0, 0));
  EXPECT_THAT(refusal("qcow2"), HasSubstr("in the folder " + theirs));
  ASSERT_EQ(::chown(theirs.c_str(), 0, 0), 0);
  EXPECT_EQ(refusal("qcow2"), "taken");
  EXPECT_EQ(checked_.path, file);
  path_ = direct;
  for (const auto& made : {file, link}) ::unlink(made.c_str());
  for (const auto& made : {images, theirs}) ::rmdir(made.c_str());
}

TEST_F(TemplateImage, RefusesAChainToOtherFiles) {
  write(header(104, 0));
  EXPECT_THAT(refusal("qcow2"), HasSubstr("has a backing file"));
  write(header(0, 4));
  EXPECT_THAT(refusal("qcow2"), HasSubstr("keeps its data in another file"));
}

TEST_F(TemplateImage, NeverTakesOneFormatForAnother) {
  write(header(0, 0));
  EXPECT_THAT(refusal("raw"), HasSubstr("is a qcow2 file"));
  write("no image at all");
  EXPECT_THAT(refusal("qcow2"), HasSubstr("is no qcow2 file"));
}

TEST_F(TemplateImage, RefusesWhatOthersCanChangeOrTheUserCannotRead) {
  write(header(0, 0), 0664);
  EXPECT_THAT(refusal("qcow2"), HasSubstr("chmod go-w"));
  write(header(0, 0), 0600);
  EXPECT_THAT(refusal("qcow2"), HasSubstr("chmod o+r"));
  ::unlink(path_.c_str());
  EXPECT_THAT(refusal("qcow2"), HasSubstr("No such file"));
  ASSERT_EQ(::symlink("/etc/shadow", path_.c_str()), 0);
  EXPECT_THAT(refusal("raw"), HasSubstr("not a link"));
}

TEST(CpuList, IsReadAsTheKernelWritesIt) {
  EXPECT_EQ(parse_cpu_list("0-1,4"), (std::vector<std::uint32_t>{0, 1, 4}));
  EXPECT_EQ(parse_cpu_list(""), std::vector<std::uint32_t>{});
}

}  // namespace
}  // namespace cloud::kvm
