// An exchange with a guest's driver and programs of the host around it, in one process: the guest
// is packets, programs are ends of socket pairs, and time passes when a test says so.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "transport/message_stream.h"
#include "vsock/exchange.h"

namespace ringside::vsock::testing {

using machine::VsockHeader;
using Operation = machine::VsockOperation;

inline constexpr std::uint32_t kGuest = 5;

struct Packet {
  VsockHeader header;
  std::string data;
};

inline std::pair<Fd, Fd> socket_pair() {
  int ends[2] = {-1, -1};
  (void)::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
  return {Fd(ends[0]), Fd(ends[1])};
}

// What a program of the host finds, and whether there is more to come.
struct Read {
  std::string text;
  bool is_end = false;
};
inline Read read_all(const Fd& socket) {
  Read read;
  for (char room[4096];;) {
    const ssize_t count = ::recv(socket.get(), room, sizeof room, 0);
    if (count > 0) {
      read.text.append(room, static_cast<std::size_t>(count));
    } else {
      read.is_end = count == 0 || errno != EAGAIN;
      return read;
    }
  }
}
inline void write_text(const Fd& socket, std::string_view text) {
  (void)::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

class Bench {
 public:
  explicit Bench(std::size_t most = 16)
      : exchange(kGuest, most, [this](std::uint32_t port) { return called(port); }) {}

  Exchange exchange;
  Clock::time_point now = Clock::now();
  std::set<std::uint32_t> listened;  // ports of the host with somebody behind them,
  std::vector<std::pair<std::uint32_t, Fd>> accepted;  // who has the other end of each connection
  std::vector<Packet> packets;                         // that have come to the guest
  unsigned answers = 0;                                // messages without a packet that have
  bool spins = false;

  // As a guest would send it, to `host` from `guest`.
  VsockHeader header(Operation operation, std::uint32_t guest, std::uint32_t host) const {
    VsockHeader header;
    header.source_cid = kGuest;
    header.destination_cid = machine::kHostCid;
    header.source_port = guest;
    header.destination_port = host;
    header.type = machine::kVsockStream;
    header.operation = operation;
    header.room = 1u << 20;
    return header;
  }
  void send(VsockHeader header, std::string_view data = {}) {
    header.length = static_cast<std::uint32_t>(data.size());
    send_as_it_is(header, data);
  }
  void send_as_it_is(const VsockHeader& header, std::string_view data) {
    std::string message(reinterpret_cast<const char*>(&header), sizeof header);
    message += data;
    exchange.take(std::as_bytes(std::span(message)), now);
    pump();
  }
  void forget() {
    exchange.take({}, now);
    pump();
  }
  // A program of the host that has connected.
  Fd connect() {
    auto [ours, theirs] = socket_pair();
    exchange.welcome(std::move(theirs), now);
    return std::move(ours);
  }

  // Until nothing happens any more.
  void pump() {
    constexpr unsigned kMostRounds = 20'000;
    for (unsigned round = 0; step(); ++round) {
      spins |= round == kMostRounds;
      if (spins) return;
    }
  }
  // Whether something has happened.
  bool step() {
    std::vector<pollfd> polled;
    (void)exchange.prepare(polled, now);
    const bool is_ready = ::poll(polled.data(), polled.size(), 0) > 0;
    exchange.proceed(polled, now);
    return receive() || is_ready;
  }
  std::vector<Packet> take_packets() { return std::exchange(packets, {}); }
  // The only one that has come, or one that is none.
  Packet take_packet() {
    const std::vector<Packet> all = take_packets();
    return all.size() == 1 ? all.front() : Packet{};
  }
  // The guest's program has a connection to such a port of the host, which has this end.
  Fd open(std::uint32_t guest, std::uint32_t host, std::uint32_t room = 1u << 20) {
    listened.insert(host);
    VsockHeader request = header(Operation::Request, guest, host);
    request.room = room;
    send(request);
    if (accepted.empty() || take_packet().header.operation != Operation::Response) return {};
    Fd end = std::move(accepted.back().second);
    accepted.pop_back();
    return end;
  }

 private:
  Fd called(std::uint32_t port) {
    if (!listened.contains(port)) return {};
    auto [ours, theirs] = socket_pair();
    accepted.emplace_back(port, std::move(ours));
    return std::move(theirs);
  }
  bool receive() {
    bool has_come = false;
    do {
      (void)exchange.out().flush(wire_.first.get());
      (void)reader_.receive(wire_.second.get(), transport::MessageReader::Waiting::No);
      while (const auto message = reader_.next()) {
        has_come = true;
        if (message->size() < sizeof(VsockHeader)) {
          ++answers;
          continue;
        }
        Packet packet;
        std::memcpy(&packet.header, message->data(), sizeof packet.header);
        packet.data.assign(reinterpret_cast<const char*>(message->data()) + sizeof packet.header,
                           message->size() - sizeof packet.header);
        packets.push_back(std::move(packet));
      }
    } while (!exchange.out().empty());
    return has_come;
  }

  std::pair<Fd, Fd> wire_ = socket_pair();
  transport::MessageReader reader_;
};

}  // namespace ringside::vsock::testing
