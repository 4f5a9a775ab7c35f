// SPDX-License-Identifier: Apache-2.0
#include "core/backend/elf_file.hpp"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

namespace cloud {
namespace {

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);
using Dynamic = ElfW(Dyn);

constexpr std::size_t kTableMax = std::size_t{64} << 20;
constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;

// ELF32_ST_BIND and ELF64_ST_BIND are the same, as are the visibilities.
unsigned binding(const Symbol& symbol) {
  return symbol.st_info >> 4U;
}

bool is_exported(const Symbol& symbol) {
  const auto bind = binding(symbol);
  const auto visibility = symbol.st_other & 3U;
  return symbol.st_shndx != SHN_UNDEF && symbol.st_name != 0 &&
         (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
         (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

class File {
 public:
  explicit File(const std::string& path) : stream_{path, std::ios::binary} {}

  std::optional<std::string> bytes(std::uint64_t at, std::uint64_t size) {
    if (size > kTableMax) return std::nullopt;
    std::string text(size, '\0');
    stream_.clear();
    stream_.seekg(static_cast<std::streamoff>(at));
    if (!stream_.read(text.data(), static_cast<std::streamsize>(size))) return std::nullopt;
    return text;
  }

  template <typename T>
  std::optional<std::vector<T>> array(std::uint64_t at, std::uint64_t size) {
    const auto text = bytes(at, size - size % sizeof(T));
    if (!text) return std::nullopt;
    std::vector<T> items(text->size() / sizeof(T));
    std::memcpy(items.data(), text->data(), items.size() * sizeof(T));
    return items;
  }

 private:
  std::ifstream stream_;
};

void add_flags(const std::vector<Dynamic>& entries, ElfFile& file) {
  for (const auto& entry : entries) {
    const auto value = entry.d_un.d_val;
    if (entry.d_tag == DT_BIND_NOW) file.binds_eagerly = true;
    if (entry.d_tag == DT_FLAGS && (value & DF_BIND_NOW) != 0) file.binds_eagerly = true;
    if (entry.d_tag == DT_FLAGS_1 && (value & DF_1_NOW) != 0) file.binds_eagerly = true;
    if (entry.d_tag == DT_FLAGS_1 && (value & DF_1_NODELETE) != 0) file.never_unloads = true;
  }
}

}  // namespace

Result<ElfFile> read_elf_file(const std::string& path) {
  const Error torn{Blame::site, path + ": is torn, or is no shared object of this machine's kind"};
  File file{path};
  const auto headers = file.array<Header>(0, sizeof(Header));
  if (!headers) return torn;
  const auto& header = headers->front();
  const bool is_ours = header.e_ident[EI_CLASS] == kClass && header.e_type == ET_DYN &&
                       header.e_shentsize == sizeof(Section);
  if (!is_ours) return torn;
  const auto sections =
      file.array<Section>(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Section));
  if (!sections) return torn;
  ElfFile read;
  for (const auto& section : *sections) {
    if (section.sh_type == SHT_DYNAMIC) {
      const auto entries = file.array<Dynamic>(section.sh_offset, section.sh_size);
      if (!entries) return torn;
      add_flags(*entries, read);
    }
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections->size()) continue;
    const auto& text_section = (*sections)[section.sh_link];
    const auto symbols = file.array<Symbol>(section.sh_offset, section.sh_size);
    const auto text = file.bytes(text_section.sh_offset, text_section.sh_size);
    if (!symbols || !text) return torn;
    for (const auto& symbol : *symbols) {
      if (!is_exported(symbol) || symbol.st_name >= text->size()) continue;
      read.exports.emplace_back(text->c_str() + symbol.st_name);
    }
  }
  std::sort(read.exports.begin(), read.exports.end());
  return read;
}

}  // namespace cloud
