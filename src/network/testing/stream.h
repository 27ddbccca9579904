// One TCP connection of a test's guest (RFC 9293): nothing is lost on its way, so nothing is sent
// twice, and what comes twice is passed over.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "network/testing/guest.h"

namespace ringside::network::testing {

class Stream {
 public:
  enum class End { Open, Finished, Reset, Lost };

  // To a port of somebody.
  Stream(Guest& guest, std::uint32_t address, std::uint16_t port, std::uint16_t own_port)
      : guest_(guest), peer_(address), own_port_(own_port), peer_port_(port) {
    transmit(Tcp::kSyn, {});
    ++sequence_;
    if (const auto seen = segment()) {
      const Tcp tcp = seen->tcp_header();
      if ((tcp.flags & Tcp::kReset) != 0) {
        end_ = End::Reset;
        return;
      }
      next_ = tcp.sequence + 1;
      transmit(Tcp::kAck, {});
    }
  }
  // From somebody who connects to a port of ours: that is waited for.
  Stream(Guest& guest, std::uint16_t own_port) : guest_(guest), own_port_(own_port) {
    const auto seen = guest_.wait_for([&](const Seen& packet) {
      return packet.header.protocol == IPPROTO_TCP && packet.tcp_header().to == own_port_ &&
             packet.tcp_header().flags == Tcp::kSyn;
    });
    if (!seen) {
      end_ = End::Lost;
      return;
    }
    peer_ = seen->header.from;
    peer_port_ = seen->tcp_header().from;
    next_ = seen->tcp_header().sequence + 1;
    transmit(Tcp::kSyn | Tcp::kAck, {});
    ++sequence_;
  }

  End end() const { return end_; }
  std::uint32_t peer() const { return peer_; }

  void send(std::string_view text) {
    constexpr std::size_t kSegment = 1400;
    while (!text.empty()) {
      const std::string_view part = text.substr(0, kSegment);
      transmit(Tcp::kAck | Tcp::kPush, part);
      sequence_ += static_cast<std::uint32_t>(part.size());
      text.remove_prefix(part.size());
    }
  }
  void finish() {
    transmit(Tcp::kAck | Tcp::kFin, {});
    ++sequence_;
  }

  // What comes until there are so many bytes, or until its end.
  std::string receive(std::size_t wanted = std::string::npos) {
    std::string text;
    while (end_ == End::Open && text.size() < wanted) {
      const auto seen = segment();
      if (!seen) break;
      const Tcp tcp = seen->tcp_header();
      if ((tcp.flags & Tcp::kReset) != 0) {
        end_ = End::Reset;
        break;
      }
      const std::string part = seen->text();
      if (part.empty() && (tcp.flags & Tcp::kFin) == 0) continue;
      if (tcp.sequence == next_) {
        text += part;
        next_ += static_cast<std::uint32_t>(part.size());
        if ((tcp.flags & Tcp::kFin) != 0) {
          ++next_;
          end_ = End::Finished;
        }
      }
      transmit(Tcp::kAck, {});
    }
    return text;
  }

 private:
  void transmit(unsigned flags, std::string_view text) {
    const Ipv4 header = guest_.header(IPPROTO_TCP, peer_);
    const bool acknowledges = (flags & Tcp::kAck) != 0;
    guest_.send_ip(tcp(header,
                       {own_port_, peer_port_, sequence_, acknowledges ? next_ : 0, flags, 0xffff},
                       std::as_bytes(std::span(text))));
  }
  std::optional<Seen> segment() {
    auto seen = guest_.wait_for([&](const Seen& packet) {
      return packet.header.protocol == IPPROTO_TCP && packet.header.from == peer_ &&
             packet.tcp_header().to == own_port_ && packet.tcp_header().from == peer_port_;
    });
    if (!seen) end_ = End::Lost;
    return seen;
  }

  Guest& guest_;
  std::uint32_t peer_ = 0;
  std::uint16_t own_port_ = 0, peer_port_ = 0;
  std::uint32_t sequence_ = 1000, next_ = 0;
  End end_ = End::Open;
};

}  // namespace ringside::network::testing
