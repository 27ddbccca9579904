// A guest at the other end of the network's socket: it gets an address, finds its neighbours, and
// has connections, without an operating system. Whatever it waits for comes within the patience of
// a test, or the test has failed.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "base/fd.h"
#include "network/testing/packets.h"
#include "transport/message_stream.h"

namespace ringside::network::testing {

using Clock = std::chrono::steady_clock;
inline constexpr std::chrono::seconds kPatience{20};

class Guest {
 public:
  explicit Guest(Fd socket) : socket_(std::move(socket)) {}

  int socket() const { return socket_.get(); }
  void leave() { socket_.reset(); }

  // The first message of the network: empty if it is ready.
  std::string greeting() {
    const auto message = transport::receive_message(socket_.get());
    if (!message) return "nothing was said";
    return {reinterpret_cast<const char*>(message->data()), message->size()};
  }

  bool send(std::span<const std::byte> frame) {
    return transport::send_message(socket_.get(), frame);
  }
  bool send_ip(std::span<const std::byte> packet) {
    return send(ethernet(gateway_, kIpv4, packet));
  }

  // The next frame; nothing: the network has gone, or nothing came.
  std::optional<Bytes> receive() {
    const auto end = Clock::now() + kPatience;
    for (;;) {
      if (const auto frame = reader_.next()) return Bytes(frame->begin(), frame->end());
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
      pollfd entry{socket_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) <= 0)
        return std::nullopt;
      std::byte room[65536];
      const ssize_t count = ::recv(socket_.get(), room, sizeof room, 0);
      if (count <= 0) return std::nullopt;
      reader_.append({room, static_cast<std::size_t>(count)});
    }
  }

  // What has come, without waiting.
  void pass_over() {
    std::byte room[65536];
    for (;;) {
      const ssize_t count = ::recv(socket_.get(), room, sizeof room, MSG_DONTWAIT);
      if (count <= 0) break;
      reader_.append({room, static_cast<std::size_t>(count)});
    }
    while (reader_.next()) {
    }
  }

  // The first packet that is what is waited for. Questions for our own address are answered
  // meanwhile, other frames are passed over.
  std::optional<Seen> wait_for(const std::function<bool(const Seen&)>& is_it) {
    while (const auto frame = receive()) {
      answer(*frame);
      auto seen = see_ipv4(*frame);
      if (seen && is_it(*seen)) return seen;
    }
    return std::nullopt;
  }
  std::optional<Seen> wait_for_protocol(std::uint8_t protocol) {
    return wait_for([&](const Seen& seen) { return seen.header.protocol == protocol; });
  }

  // DHCP (RFC 2131): DISCOVER, OFFER, REQUEST, ACK. Where it fails there is no address.
  struct Lease {
    std::uint32_t address = 0, router = 0, name_server = 0;
    std::string host_name;
  };
  Lease get_address() {
    Lease lease;
    for (const unsigned kind : {1u, 3u}) {
      send_dhcp(kind, lease.address);
      const auto seen = wait_for([&](const Seen& packet) {
        return packet.header.protocol == IPPROTO_UDP && packet.udp_ports().to == 68;
      });
      if (!seen) return {};
      lease = read_lease(Reader(seen->payload));
    }
    own_ = lease.address;
    return lease;
  }

  // Whose address that is; nothing: nobody's.
  std::optional<Mac> resolve(std::uint32_t address) {
    Writer question;
    question.u16(1).u16(kIpv4).u8(6).u8(4).u16(1);
    question.add(kOwnMac).u32(own_).zeros(6).u32(address);
    send(ethernet(kEverybody, kArp, question.bytes()));
    while (const auto frame = receive()) {
      const Reader reader(*frame);
      if (reader.u16(12) != kArp || reader.u16(20) != 2 || reader.u32(28) != address) continue;
      Mac mac;
      for (std::size_t i = 0; i < mac.size(); ++i)
        mac[i] = static_cast<std::uint8_t>(reader.u8(22 + i));
      return mac;
    }
    return std::nullopt;
  }

  // As after get_address(), which takes longer.
  void join() {
    own_ = ip("10.0.2.15");
    const auto mac = resolve(ip("10.0.2.2"));
    ASSERT_TRUE(mac);
    gateway_ = *mac;
  }

  Ipv4 header(std::uint8_t protocol, std::uint32_t to) const { return {protocol, own_, to}; }
  std::uint32_t own() const { return own_; }

 private:
  void send_dhcp(unsigned kind, std::uint32_t wanted) {
    Writer request;
    request.u8(1).u8(1).u8(6).u8(0).u32(0x52494e47).u32(0).zeros(16).add(kOwnMac).zeros(10);
    request.zeros(64 + 128).u32(0x63825363).u8(53).u8(1).u8(kind);
    if (wanted != 0) request.u8(50).u8(4).u32(wanted);
    request.u8(255);
    const Ipv4 header{IPPROTO_UDP, 0, 0xffffffff};
    send(ethernet(kEverybody, kIpv4, udp(header, {68, 67}, request.bytes())));
  }

  // Behind the 8 bytes of UDP's header: RFC 2131 2, and RFC 2132 of the options.
  static Lease read_lease(const Reader& reader) {
    Lease lease;
    lease.address = reader.u32(8 + 16);
    std::size_t at = 8 + 240;
    while (reader.u8(at) != 0 && reader.u8(at) != 255) {
      const unsigned option = reader.u8(at), size = reader.u8(at + 1);
      if (option == 3) lease.router = reader.u32(at + 2);
      if (option == 6) lease.name_server = reader.u32(at + 2);
      for (unsigned i = 0; option == 12 && i < size; ++i)
        lease.host_name += static_cast<char>(reader.u8(at + 2 + i));
      at += 2 + size;
    }
    return lease;
  }

  void answer(std::span<const std::byte> frame) {
    const Reader reader(frame);
    if (reader.u16(12) != kArp || reader.u16(20) != 1 || reader.u32(38) != own_) return;
    Mac asker;
    for (std::size_t i = 0; i < asker.size(); ++i)
      asker[i] = static_cast<std::uint8_t>(reader.u8(22 + i));
    Writer reply;
    reply.u16(1).u16(kIpv4).u8(6).u8(4).u16(2);
    reply.add(kOwnMac).u32(own_).add(asker).u32(reader.u32(28));
    send(ethernet(asker, kArp, reply.bytes()));
  }

  Fd socket_;
  transport::MessageReader reader_;
  std::uint32_t own_ = 0;
  Mac gateway_ = kEverybody;
};

}  // namespace ringside::network::testing
