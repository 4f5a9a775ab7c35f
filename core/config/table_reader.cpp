// SPDX-License-Identifier: Apache-2.0
#include "core/config/table_reader.hpp"

#include <algorithm>
#include <charconv>

namespace cloud {
namespace {

bool is_clean_path(const std::string& path) {
  return path.starts_with('/') && (path + "/").find("/../") == std::string::npos &&
         (path + "/").find("/./") == std::string::npos &&
         std::none_of(path.begin(), path.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

Place place_of(const toml::source_region& source, const std::string& file) {
  return {file, source.begin.line, source.begin.column};
}

TableReader::TableReader(const toml::table& table, std::string file, Report& report)
    : table_{table}, file_{std::move(file)}, report_{report} {}

const toml::node* TableReader::raw(const std::string& key) {
  asked_.push_back(key);
  return table_.get(key);
}

Place TableReader::place() const {
  return place_of(table_.source(), file_);
}

Place TableReader::place(const std::string& key) const {
  const auto* node = table_.get(key);
  return node == nullptr ? place() : place_of(node->source(), file_);
}

Place TableReader::key_place(const std::string& key) const {
  for (const auto& [name, node] : table_) {
    if (name.str() == key) return place_of(name.source(), file_);
  }
  return place();
}

void TableReader::complain(const std::string& key, const std::string& message) {
  report_.add(place(key), message);
}

bool TableReader::is_string(const std::string& key) const {
  const auto* node = table_.get(key);
  return node != nullptr && node->is_string();
}

std::optional<std::string> TableReader::string(const std::string& key) {
  const auto* node = raw(key);
  if (node == nullptr) return std::nullopt;
  if (auto value = node->value_exact<std::string>()) return value;
  complain(key, "'" + key + "' shall be a string");
  return std::nullopt;
}

std::optional<std::string> TableReader::required_string(const std::string& key) {
  if (!has(key)) {
    asked_.push_back(key);
    report_.add(place(), "'" + key + "' is missing");
    return std::nullopt;
  }
  return string(key);
}

std::optional<std::string> TableReader::path(const std::string& key) {
  auto value = string(key);
  if (value && !is_clean_path(*value)) {
    complain(key, "'" + key + "' shall be an absolute path without '.' and '..'");
    return std::nullopt;
  }
  return value;
}

std::optional<std::int64_t> TableReader::integer(const std::string& key, std::int64_t least,
                                                 std::int64_t most) {
  const auto* node = raw(key);
  if (node == nullptr) return std::nullopt;
  const auto value = node->value_exact<std::int64_t>();
  if (!value) {
    complain(key, "'" + key + "' shall be an integer");
    return std::nullopt;
  }
  if (*value < least || *value > most) {
    complain(key, "'" + key + "' shall be from " + std::to_string(least) + " to " +
                      std::to_string(most));
    return std::nullopt;
  }
  return value;
}

std::optional<bool> TableReader::boolean(const std::string& key) {
  const auto* node = raw(key);
  if (node == nullptr) return std::nullopt;
  if (const auto value = node->value_exact<bool>()) return value;
  complain(key, "'" + key + "' shall be true or false");
  return std::nullopt;
}

std::optional<std::chrono::seconds> TableReader::duration(const std::string& key) {
  const auto text = string(key);
  if (!text) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), number);
  const std::string unit{end, text->data() + text->size()};
  const std::int64_t factor = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (failure != std::errc{} || factor == 0 || number < 1 || number > 86400 / factor) {
    complain(key,
             "'" + key + "' shall be a duration from \"1s\" to \"24h\", such as \"90s\" or \"5m\"");
    return std::nullopt;
  }
  return std::chrono::seconds{number * factor};
}

std::optional<std::size_t> TableReader::choice(const std::string& key,
                                               const std::vector<std::string>& words) {
  const auto text = string(key);
  if (!text) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), *text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "'" : ", '") + word + "'";
  complain(key, "'" + key + "' shall be one of " + all);
  return std::nullopt;
}

std::vector<std::pair<std::string, Place>> TableReader::strings(const std::string& key) {
  std::vector<std::pair<std::string, Place>> values;
  const auto* node = raw(key);
  if (node == nullptr) return values;
  const auto* array = node->as_array();
  if (array == nullptr) {
    complain(key, "'" + key + "' shall be a list of strings");
    return values;
  }
  for (const auto& element : *array) {
    const auto where = place_of(element.source(), file_);
    if (auto value = element.value_exact<std::string>()) {
      values.emplace_back(*std::move(value), where);
    } else {
      report_.add(where, "an element of '" + key + "' shall be a string");
    }
  }
  return values;
}

const toml::table* TableReader::table(const std::string& key) {
  const auto* node = raw(key);
  if (node == nullptr) return nullptr;
  if (const auto* found = node->as_table()) return found;
  complain(key, "'" + key + "' shall be a table: [" + key + "]");
  return nullptr;
}

std::vector<const toml::table*> TableReader::tables(const std::string& key) {
  std::vector<const toml::table*> found;
  const auto* node = raw(key);
  if (node == nullptr) return found;
  const auto* array = node->as_array();
  if (array == nullptr) {
    complain(key, "'" + key + "' shall be an array of tables, each below its own [[" + key + "]]");
    return found;
  }
  for (const auto& element : *array) {
    if (const auto* below = element.as_table()) {
      found.push_back(below);
    } else {
      report_.add(place_of(element.source(), file_),
                  "an element of '" + key + "' shall be a table");
    }
  }
  return found;
}

std::vector<std::pair<std::string, const toml::table*>> TableReader::named_tables(
    const std::string& key) {
  std::vector<std::pair<std::string, const toml::table*>> found;
  const auto* outer = table(key);
  if (outer == nullptr) return found;
  for (const auto& [name, node] : *outer) {
    if (const auto* below = node.as_table()) {
      found.emplace_back(std::string{name.str()}, below);
    } else {
      report_.add(place_of(name.source(), file_), "'" + std::string{name.str()} +
                                                      "' shall be a table: [" + key + "." +
                                                      std::string{name.str()} + "]");
    }
  }
  return found;
}

std::vector<std::string> TableReader::other_keys() const {
  std::vector<std::string> others;
  for (const auto& [key, node] : table_) {
    if (std::find(asked_.begin(), asked_.end(), key.str()) == asked_.end()) {
      others.emplace_back(key.str());
    }
  }
  return others;
}

void TableReader::finish() {
  for (const auto& key : other_keys()) {
    const auto meant = nearest(key, asked_);
    report_.add(key_place(key), "unknown key '" + key + "'" +
                                    (meant.empty() ? "" : "; did you mean '" + meant + "'?"));
  }
}

}  // namespace cloud
