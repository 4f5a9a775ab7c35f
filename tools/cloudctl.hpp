// SPDX-License-Identifier: Apache-2.0
//
// The commands of cloudctl. Each returns the exit status: 0, or 1 with a message on stderr.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/job_folder.hpp"

namespace cloud {

/// Prints every mistake of the configuration, those of backends' own keys included. 0, or 1 where
/// there is one.
[[nodiscard]] int check_configuration(const std::string& file);

/// Says what will not work on this node and how to mend it, a line for each check. 1 where there is
/// a problem.
[[nodiscard]] int examine_node(const NodeView& view, const std::string& libexec);

/// Lists the backends in the site's folder, those that the configuration enables and those that
/// cannot be loaded, and why. 1 where one that is enabled cannot be loaded.
[[nodiscard]] int list_backends(const NodeView& view);

enum class BackendFormat { text, man };

/// Prints what a backend says of itself: its version, capabilities, image formats and options.
[[nodiscard]] int show_backend(const NodeView& view, const std::string& name, BackendFormat format);

/// Lists the jobs that have a record on the node, with their machines and addresses.
[[nodiscard]] int show_status(const NodeView& view);

enum class TraceFormat { table, perfetto };

/// Prints how long each stage of a job took.
[[nodiscard]] int show_trace(const NodeView& view, std::uint64_t job_id, TraceFormat format);

/// Cleans up after jobs that Slurm no longer runs on this node: of another boot, or without a
/// process of theirs in a control group; and ends the machines of this node that no job has a
/// record of. Meant for the node's start, before slurmd.
[[nodiscard]] int reconcile(const NodeView& view);

/// Becomes the program that takes the job's user into the machine. Returns only where it cannot.
[[nodiscard]] int enter_machine(const NodeView& view, std::uint64_t job_id,
                                const std::vector<std::string>& command);

/// Connects stdin, stdout and the terminal to the machine's console. Where the terminal is not the
/// machine's user's, what could steer it is filtered out, unless it is asked for raw.
[[nodiscard]] int attach_console(const NodeView& view, std::uint64_t job_id, bool is_raw);

/// Prints what is kept of what the console has printed.
[[nodiscard]] int print_console(const NodeView& view, std::uint64_t job_id);

/// Prints the machine's log; root also sees the keeper's and the site programs'.
[[nodiscard]] int show_logs(const NodeView& view, std::uint64_t job_id);

}  // namespace cloud
