// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <pugixml.hpp>
#include <string>

namespace cloud::kvm {

/// A site's additions to a domain, such as
///
///   <devices><hostdev .../></devices><cpu mode='host-model'/>
///
/// Children of <devices> and <features> are added, <clock> and <cpu> replace ours. What would break
/// a promise of the product (name, memory, CPUs, labels, what happens at the end) is refused.
class XmlFragment {
 public:
  /// Throws std::invalid_argument, which says what is wrong and where in the text.
  explicit XmlFragment(const std::string& text);

  void apply_to(pugi::xml_node domain) const;

 private:
  std::shared_ptr<const pugi::xml_document> document_;
};

}  // namespace cloud::kvm
