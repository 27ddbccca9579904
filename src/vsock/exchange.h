// Connects ports of the guest with Unix sockets of the host, as many at a time as there may be. It
// is a part of poll(2)'s loop: it says what it waits for, and is told what came. What it holds is
// bounded, whatever the guest and programs of the host do.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "machine/vsock/packet.h"
#include "vsock/connection.h"
#include "vsock/outbox.h"
#include "vsock/resets.h"

namespace ringside::vsock {

// How long a program of the host may take to say which port it wants.
inline constexpr std::chrono::seconds kHostsTime{10};

class Exchange {
 public:
  // A socket, not blocking, with whoever listens on the host for that port; none: nobody does.
  using Call = std::function<Fd(std::uint32_t port)>;

  // `most`: of sockets at a time.
  Exchange(std::uint32_t guest_cid, std::size_t most, Call call)
      : guest_cid_(guest_cid), most_(most), call_(std::move(call)) {}

  // A packet of the guest's, or nothing: it knows of no connection any more.
  void take(std::span<const std::byte> packet, Clock::time_point now);
  // The guest is gone for good. What it had sent is still written, as programs of the host take it.
  void end();
  bool owes() const { return !rests_.empty(); }
  // Of what there is for the guest. Nothing is put into it but by the other functions here.
  Outbox& out() { return out_; }

  // There may be one more program of the host.
  bool has_place() const;
  // One that has connected.
  void welcome(Fd socket, Clock::time_point now);

  // Adds what to wait for. The time is how long at most, as poll(2) takes it.
  int prepare(std::vector<pollfd>& polled, Clock::time_point now);
  // What has come of that. Between the two nothing else may be called.
  void proceed(std::span<const pollfd> polled, Clock::time_point now);

  // Sockets, for tests.
  std::size_t size() const { return connections_.size() + callers_.size() + rests_.size(); }

 private:
  // A program of the host that has not said yet what it wants.
  struct Caller {
    Fd socket;
    std::string said = {};
    Clock::time_point deadline = {};
  };

  void take_packet(const machine::VsockHeader& header, std::span<const std::byte> data,
                   Clock::time_point now);
  void begin(const machine::VsockHeader& header, Clock::time_point now);
  void forget_all();
  void let_go_of_all();
  void hear(std::span<const pollfd> polled, Clock::time_point now);
  void connect(Fd socket, std::uint32_t guest_port, Clock::time_point now);
  void write_rests(std::span<const pollfd> polled);
  void give_up_late(Clock::time_point now);
  using Table = std::map<Ports, Connection>;
  void tell_resets();
  Table::iterator tell(Table::iterator place);
  void keep_rest(Connection& connection);

  const std::uint32_t guest_cid_;
  const std::size_t most_;
  Call call_;
  Outbox out_;
  Table connections_;
  std::list<Caller> callers_;
  std::list<Connection::Rest> rests_;  // of connections that are over
  Resets resets_;
  std::uint32_t next_port_ = kFirstPort;  // of the host

  // Those that are waited for, behind all callers and rests. Each has its turn at being the first.
  std::vector<Ports> polled_;
  Ports first_;

  // Far above those that programs listen at.
  static constexpr std::uint32_t kFirstPort = 1u << 30;
};

}  // namespace ringside::vsock
