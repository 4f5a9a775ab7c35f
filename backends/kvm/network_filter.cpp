// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/network_filter.hpp"

namespace cloud::kvm {

// Names none of libvirt's own filters, which are in a package that a node need not have.
std::string network_filter_xml() {
  return std::string{"<filter name='"} + kNetworkFilter + R"(' chain='root'>
  <rule action='drop' direction='out' priority='-800'>
    <mac match='no' srcmacaddr='$MAC'/>
  </rule>
  <rule action='drop' direction='out' priority='-700'>
    <arp match='no' arpsrcmacaddr='$MAC'/>
  </rule>
  <rule action='drop' direction='out' priority='-700'>
    <arp match='no' arpsrcipaddr='$IP'/>
  </rule>
  <rule action='drop' direction='out' priority='-700'>
    <ip match='no' srcipaddr='$IP'/>
  </rule>
  <rule action='accept' direction='inout' priority='-600'>
    <mac protocolid='arp'/>
  </rule>
  <rule action='accept' direction='inout' priority='-600'>
    <mac protocolid='ipv4'/>
  </rule>
  <rule action='drop' direction='inout' priority='1000'/>
</filter>
)";
}

}  // namespace cloud::kvm
