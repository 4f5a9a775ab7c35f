// SPDX-License-Identifier: Apache-2.0
#include "core/config/diagnostic.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <tuple>

namespace cloud {
namespace {

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::vector<std::string> lines_of(const std::string& file) {
  std::vector<std::string> lines;
  std::ifstream stream{file};
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

auto key_of(const Diagnostic& diagnostic) {
  return std::tie(diagnostic.where.file, diagnostic.where.line, diagnostic.where.column,
                  diagnostic.message);
}

}  // namespace

std::string Place::text() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

void Report::add(Place where, std::string message) {
  diagnostics_.push_back({std::move(where), std::move(message)});
}

std::vector<Diagnostic> Report::sorted() const {
  auto all = diagnostics_;
  std::sort(all.begin(), all.end(),
            [](const Diagnostic& a, const Diagnostic& b) { return key_of(a) < key_of(b); });
  const auto same = [](const Diagnostic& a, const Diagnostic& b) { return key_of(a) == key_of(b); };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  return all;
}

std::string Report::first_line() const {
  const auto first = sorted().front();
  return first.where.text() + ": " + first.message;
}

std::string Report::text() const {
  std::map<std::string, std::vector<std::string>> sources;
  std::string all;
  for (const auto& [where, message] : sorted()) {
    all += where.text() + ": error: " + message + "\n";
    if (where.line == 0) continue;
    if (sources.count(where.file) == 0) sources[where.file] = lines_of(where.file);
    const auto& lines = sources[where.file];
    if (where.line > lines.size()) continue;
    const auto& line = lines[where.line - 1];
    all += "  " + line + "\n  ";
    // Tabs are kept, so that the caret stands below its column however wide they are shown.
    for (std::size_t i = 0; i + 1 < where.column; ++i) {
      all += i < line.size() && line[i] == '\t' ? '\t' : ' ';
    }
    all += "^\n";
  }
  return all;
}

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    const auto distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace cloud
