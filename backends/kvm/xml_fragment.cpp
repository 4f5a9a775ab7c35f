// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/xml_fragment.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace cloud::kvm {
namespace {

constexpr std::array<std::string_view, 2> kAdded{"devices", "features"};
constexpr std::array<std::string_view, 2> kReplaced{"clock", "cpu"};

template <std::size_t Size>
bool is_among(const std::array<std::string_view, Size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

XmlFragment::XmlFragment(const std::string& text) {
  const auto document = std::make_shared<pugi::xml_document>();
  const auto parsed =
      document->load_string(text.c_str(), pugi::parse_default | pugi::parse_fragment);
  if (!parsed) {
    throw std::invalid_argument{std::string{parsed.description()} + " at byte " +
                                std::to_string(parsed.offset)};
  }
  for (const auto node : document->children()) {
    const std::string_view name = node.name();
    if (node.type() != pugi::node_element) {
      throw std::invalid_argument{"text outside of an element"};
    }
    if (!is_among(kAdded, name) && !is_among(kReplaced, name)) {
      throw std::invalid_argument{"<" + std::string{name} +
                                  "> cannot be set: only <devices>, <features>, <clock> and <cpu>"};
    }
    // A console or a machine's own files would then have two owners.
    for (const auto device : node.children("serial")) {
      (void)device;
      throw std::invalid_argument{"<serial> cannot be added: the machine's console is taken"};
    }
  }
  document_ = document;
}

void XmlFragment::apply_to(pugi::xml_node domain) const {
  for (const auto node : document_->children()) {
    const bool adds = is_among(kAdded, std::string_view{node.name()});
    auto place = domain.child(node.name());
    if (adds && place) {
      for (const auto child : node.children()) place.append_copy(child);
      continue;
    }
    if (place) domain.remove_child(place);
    domain.append_copy(node);
  }
}

}  // namespace cloud::kvm
