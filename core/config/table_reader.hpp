// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <toml++/toml.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config/diagnostic.hpp"

namespace cloud {

/// Reads one table strictly: a key of a wrong type, and at finish() a key that nobody asked for,
/// goes to the report with its place. Absent keys are std::nullopt.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string file, Report& report);

  [[nodiscard]] std::optional<std::string> string(const std::string& key);
  [[nodiscard]] std::optional<std::string> required_string(const std::string& key);
  /// An absolute path without "." and ".." components.
  [[nodiscard]] std::optional<std::string> path(const std::string& key);
  [[nodiscard]] std::optional<std::int64_t> integer(const std::string& key, std::int64_t least,
                                                    std::int64_t most);
  [[nodiscard]] std::optional<bool> boolean(const std::string& key);
  /// "90s", "5m", "1h": a whole number of seconds of at least 1 s and at most 24 h.
  [[nodiscard]] std::optional<std::chrono::seconds> duration(const std::string& key);
  /// One of the words; their index.
  [[nodiscard]] std::optional<std::size_t> choice(const std::string& key,
                                                  const std::vector<std::string>& words);
  [[nodiscard]] std::vector<std::pair<std::string, Place>> strings(const std::string& key);
  /// The tables of an array of tables, or of a table of tables with their names.
  [[nodiscard]] std::vector<const toml::table*> tables(const std::string& key);
  [[nodiscard]] std::vector<std::pair<std::string, const toml::table*>> named_tables(
      const std::string& key);
  [[nodiscard]] const toml::table* table(const std::string& key);

  [[nodiscard]] bool has(const std::string& key) const { return table_.contains(key); }
  [[nodiscard]] bool is_string(const std::string& key) const;
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] Place place() const;                        ///< of the table
  [[nodiscard]] Place place(const std::string& key) const;  ///< of the value, or of the table
  [[nodiscard]] Place key_place(const std::string& key) const;
  [[nodiscard]] std::vector<std::string> other_keys() const;  ///< nobody asked for them yet
  [[nodiscard]] const toml::node* raw(const std::string& key);

  void complain(const std::string& key, const std::string& message);
  void finish();

 private:
  const toml::table& table_;
  std::string file_;
  Report& report_;
  std::vector<std::string> asked_;
};

[[nodiscard]] Place place_of(const toml::source_region& source, const std::string& file);

}  // namespace cloud
