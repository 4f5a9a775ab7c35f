// SPDX-License-Identifier: Apache-2.0
//
// The layout of ABI 1.x on LP64, number by number: a backend built years ago relies on each. A line
// that does not compile any more is a new major. Fields are only appended; a struct's size may
// grow.
#include <spank-cloud/backend_abi.h>

#include <cstddef>
#include <string_view>

#define CLOUD_OFFSET(type, field, offset) \
  static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")
#define CLOUD_SIZE(type, size) static_assert(sizeof(type) == (size), #type " has another size")

CLOUD_OFFSET(cloud_error, struct_size, 0);
CLOUD_OFFSET(cloud_error, code, 4);
CLOUD_OFFSET(cloud_error, os_errno, 8);
CLOUD_OFFSET(cloud_error, setting, 12);
CLOUD_OFFSET(cloud_error, message, 16);
CLOUD_SIZE(cloud_error, 1016);

CLOUD_OFFSET(cloud_option, key, 0);
CLOUD_OFFSET(cloud_option, type, 8);
CLOUD_OFFSET(cloud_option, required, 12);
CLOUD_OFFSET(cloud_option, fallback, 16);
CLOUD_OFFSET(cloud_option, help, 24);
CLOUD_SIZE(cloud_option, 32);

CLOUD_OFFSET(cloud_setting, key, 0);
CLOUD_OFFSET(cloud_setting, type, 8);
CLOUD_OFFSET(cloud_setting, boolean, 12);
CLOUD_OFFSET(cloud_setting, integer, 16);
CLOUD_OFFSET(cloud_setting, string, 24);
CLOUD_OFFSET(cloud_setting, file, 32);
CLOUD_OFFSET(cloud_setting, line, 40);
CLOUD_OFFSET(cloud_setting, column, 44);
CLOUD_SIZE(cloud_setting, 48);

CLOUD_OFFSET(cloud_host, struct_size, 0);
CLOUD_OFFSET(cloud_host, abi_minor, 4);
CLOUD_OFFSET(cloud_host, context, 8);
CLOUD_OFFSET(cloud_host, log, 16);
CLOUD_OFFSET(cloud_host, cancelled, 24);
CLOUD_OFFSET(cloud_host, place, 32);
#if CLOUD_ABI_MINOR == 0
CLOUD_SIZE(cloud_host, 40);
#else
CLOUD_OFFSET(cloud_host, guard_port, 40);
CLOUD_SIZE(cloud_host, 48);
#endif

CLOUD_OFFSET(cloud_image, struct_size, 0);
CLOUD_OFFSET(cloud_image, name, 8);
CLOUD_OFFSET(cloud_image, path, 16);
CLOUD_OFFSET(cloud_image, format, 24);
CLOUD_OFFSET(cloud_image, init, 32);
CLOUD_OFFSET(cloud_image, initrd, 40);
CLOUD_OFFSET(cloud_image, cmdline, 48);
CLOUD_OFFSET(cloud_image, settings, 56);
CLOUD_OFFSET(cloud_image, setting_count, 64);
CLOUD_SIZE(cloud_image, 72);

CLOUD_OFFSET(cloud_user, struct_size, 0);
CLOUD_OFFSET(cloud_user, uid, 4);
CLOUD_OFFSET(cloud_user, gid, 8);
CLOUD_OFFSET(cloud_user, name, 16);
CLOUD_OFFSET(cloud_user, home, 24);
CLOUD_OFFSET(cloud_user, shell, 32);
CLOUD_OFFSET(cloud_user, groups, 40);
CLOUD_OFFSET(cloud_user, group_names, 48);
CLOUD_OFFSET(cloud_user, group_count, 56);
CLOUD_SIZE(cloud_user, 64);

CLOUD_OFFSET(cloud_network, struct_size, 0);
CLOUD_OFFSET(cloud_network, prefix_length, 4);
CLOUD_OFFSET(cloud_network, bridge, 8);
CLOUD_OFFSET(cloud_network, mac, 16);
CLOUD_OFFSET(cloud_network, address, 24);
CLOUD_OFFSET(cloud_network, gateway, 32);
CLOUD_OFFSET(cloud_network, dns, 40);
CLOUD_OFFSET(cloud_network, dns_count, 48);
CLOUD_OFFSET(cloud_network, isolate, 56);
CLOUD_SIZE(cloud_network, 64);

CLOUD_OFFSET(cloud_mount, struct_size, 0);
CLOUD_OFFSET(cloud_mount, read_only, 4);
CLOUD_OFFSET(cloud_mount, source_fd, 8);
CLOUD_OFFSET(cloud_mount, source, 16);
CLOUD_OFFSET(cloud_mount, target, 24);
CLOUD_SIZE(cloud_mount, 32);

CLOUD_OFFSET(cloud_ssh, struct_size, 0);
CLOUD_OFFSET(cloud_ssh, authorized_key, 8);
CLOUD_OFFSET(cloud_ssh, host_key, 16);
CLOUD_OFFSET(cloud_ssh, host_key_public, 24);
CLOUD_SIZE(cloud_ssh, 32);

CLOUD_OFFSET(cloud_machine_spec, struct_size, 0);
CLOUD_OFFSET(cloud_machine_spec, cpu_count, 4);
CLOUD_OFFSET(cloud_machine_spec, memory_bytes, 8);
CLOUD_OFFSET(cloud_machine_spec, job_id, 16);
CLOUD_OFFSET(cloud_machine_spec, name, 24);
CLOUD_OFFSET(cloud_machine_spec, hostname, 32);
CLOUD_OFFSET(cloud_machine_spec, cpus, 40);
CLOUD_OFFSET(cloud_machine_spec, work_dir, 48);
CLOUD_OFFSET(cloud_machine_spec, cgroup, 56);
CLOUD_OFFSET(cloud_machine_spec, subid_first, 64);
CLOUD_OFFSET(cloud_machine_spec, subid_count, 68);
CLOUD_OFFSET(cloud_machine_spec, image, 72);
CLOUD_OFFSET(cloud_machine_spec, user, 80);
CLOUD_OFFSET(cloud_machine_spec, network, 88);
CLOUD_OFFSET(cloud_machine_spec, mounts, 96);
CLOUD_OFFSET(cloud_machine_spec, mount_count, 104);
CLOUD_OFFSET(cloud_machine_spec, ssh, 112);
CLOUD_OFFSET(cloud_machine_spec, user_data, 120);
CLOUD_SIZE(cloud_machine_spec, 128);

CLOUD_OFFSET(cloud_machine_ref, struct_size, 0);
CLOUD_OFFSET(cloud_machine_ref, name, 8);
CLOUD_OFFSET(cloud_machine_ref, work_dir, 16);
CLOUD_OFFSET(cloud_machine_ref, cgroup, 24);
CLOUD_SIZE(cloud_machine_ref, 32);

CLOUD_OFFSET(cloud_machine_info, struct_size, 0);
CLOUD_OFFSET(cloud_machine_info, state, 4);
CLOUD_OFFSET(cloud_machine_info, init_pid, 8);
CLOUD_OFFSET(cloud_machine_info, detail, 16);
CLOUD_OFFSET(cloud_machine_info, main_pid, 272);
CLOUD_SIZE(cloud_machine_info, 280);

CLOUD_OFFSET(cloud_backend_v1, struct_size, 0);
CLOUD_OFFSET(cloud_backend_v1, abi_minor, 4);
CLOUD_OFFSET(cloud_backend_v1, name, 8);
CLOUD_OFFSET(cloud_backend_v1, version, 16);
CLOUD_OFFSET(cloud_backend_v1, capabilities, 24);
CLOUD_OFFSET(cloud_backend_v1, must_understand, 32);
CLOUD_OFFSET(cloud_backend_v1, options, 40);
CLOUD_OFFSET(cloud_backend_v1, option_count, 48);
CLOUD_OFFSET(cloud_backend_v1, image_options, 56);
CLOUD_OFFSET(cloud_backend_v1, image_option_count, 64);
CLOUD_OFFSET(cloud_backend_v1, image_formats, 72);
CLOUD_OFFSET(cloud_backend_v1, open, 80);
CLOUD_OFFSET(cloud_backend_v1, close, 88);
CLOUD_OFFSET(cloud_backend_v1, probe, 96);
CLOUD_OFFSET(cloud_backend_v1, prepare, 104);
CLOUD_OFFSET(cloud_backend_v1, start, 112);
CLOUD_OFFSET(cloud_backend_v1, wait_ready, 120);
CLOUD_OFFSET(cloud_backend_v1, info, 128);
CLOUD_OFFSET(cloud_backend_v1, stop, 136);
CLOUD_OFFSET(cloud_backend_v1, destroy, 144);
CLOUD_OFFSET(cloud_backend_v1, list, 152);
CLOUD_OFFSET(cloud_backend_v1, console, 160);
CLOUD_SIZE(cloud_backend_v1, 168);

static_assert(sizeof(cloud_code) == 4 && sizeof(cloud_level) == 4 && sizeof(cloud_state) == 4);
static_assert(CLOUD_OK == 0 && CLOUD_E_INTERNAL == 1 && CLOUD_E_CONFIG == 2 &&
              CLOUD_E_REQUEST == 3 && CLOUD_E_NODE == 4 && CLOUD_E_NOT_FOUND == 5 &&
              CLOUD_E_TIMEOUT == 6 && CLOUD_E_UNSUPPORTED == 7 && CLOUD_E_CANCELLED == 8);
static_assert(CLOUD_STRING == 1 && CLOUD_INT == 2 && CLOUD_BOOL == 3);
static_assert(CLOUD_ERROR == 0 && CLOUD_WARN == 1 && CLOUD_INFO == 2 && CLOUD_DEBUG == 3);
static_assert(CLOUD_ABSENT == 0 && CLOUD_PREPARED == 1 && CLOUD_STARTING == 2 &&
              CLOUD_RUNNING == 3 && CLOUD_STOPPING == 4);
static_assert(CLOUD_CAP_NAMESPACES == 1 && CLOUD_CAP_SSH == 2 && CLOUD_CAP_CONSOLE == 4);
static_assert(sizeof(cloud_type) == 4);
static_assert(CLOUD_ABI_MAJOR == 1 &&
              std::string_view{CLOUD_ENTRY_SYMBOL} == "cloud_backend_entry_v1");
