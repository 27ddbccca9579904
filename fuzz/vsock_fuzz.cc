// The other ends of the guest's sockets: packets nearly right, and odd ones, from a guest; lines
// and bytes of programs of the host that connect, listen, read, stop and go; time that passes. What
// comes to the guest is whole and no more than it has room for, nothing spins, sockets are bounded
// and none is lost. And the option, as it is typed.
#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <utility>
#include <vector>

#include "choices.h"
#include "vsock/options.h"
#include "vsock/testing/bench.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;
using machine::VsockHeader;
using vsock::Ports;
using Operation = machine::VsockOperation;

void option(std::string_view text) {
  const auto options = vsock::parse_vsock(text);
  if (!options) {
    check(options.error().text().starts_with("--vsock: "));
    fuzz::check_sentence(options.error().text(), 1 + 3 * text.size());
  } else if (*options) {
    check(!(*options)->path.empty() && (*options)->cid >= machine::kLeastGuestCid);
    check(vsock::path_of_port((*options)->path, ~0u).size() < 108);
  }
}

class Scene {
 public:
  Scene(Choices& choices, std::size_t most) : choices_(choices), most_(most), bench_(most) {}

  void run() {
    constexpr unsigned kMostActs = 300;
    for (unsigned acts = 0; !choices_.is_over() && acts < kMostActs; ++acts) {
      act();
      settle();
    }
    bench_.forget();
    bench_.exchange.end();
    settle();
    programs_.clear();
    bench_.accepted.clear();
    bench_.now += vsock::kHostsTime;
    settle();
    bench_.pump();
    check(bench_.exchange.size() == 0);
  }

 private:
  struct Credit {
    std::uint32_t room = 0, taken = 0, sent = 0;
  };

  std::uint32_t guests_port() { return choices_.mostly(1 + choices_.below(3)); }
  std::uint32_t hosts_port() {
    if (choices_.once_in(3)) return (1u << 30) + choices_.below(4);
    return choices_.mostly(200 + choices_.below(3));
  }

  void send_packet() {
    constexpr Operation kOperations[] = {
        Operation::Request, Operation::Response, Operation::Reset,        Operation::Shutdown,
        Operation::Data,    Operation::Data,     Operation::CreditUpdate, Operation::CreditRequest};
    const std::uint32_t guest = guests_port();
    const std::uint32_t host = hosts_port();
    const Operation operation = choices_.one_of(kOperations);
    VsockHeader header = bench_.header(operation, guest, host);
    if (choices_.once_in(16))
      header.operation = static_cast<Operation>(choices_.number<std::uint16_t>());
    header.source_cid = choices_.mostly<std::uint64_t>(header.source_cid);
    header.destination_cid = choices_.mostly<std::uint64_t>(header.destination_cid);
    header.type = choices_.mostly<std::uint16_t>(header.type);
    header.flags = choices_.below(5);
    constexpr std::uint32_t kRooms[] = {0, 1, 10, 4096, 1u << 20, ~0u};
    header.room = choices_.one_of(kRooms);
    header.taken = choices_.odd<std::uint32_t>(credits_[{guest, host}].sent);
    constexpr std::uint32_t kSizes[] = {0, 1, 100, 5000, machine::kVsockRoom};
    const std::string data(header.operation == Operation::Data ? choices_.one_of(kSizes) : 0, 'g');
    header.length = choices_.mostly(static_cast<std::uint32_t>(data.size()));
    if (header.source_cid == vsock::testing::kGuest && header.type == machine::kVsockStream &&
        header.destination_cid == machine::kHostCid) {
      Credit& credit = credits_[{guest, host}];
      credit.room = header.room;
      credit.taken = header.taken;
      if (header.operation == Operation::Request) credit.sent = 0;
    }
    bench_.send_as_it_is(header, data);
  }

  void connect() {
    if (!bench_.exchange.has_place()) return;
    programs_.push_back(bench_.connect());
    if (choices_.once_in(3)) return;
    const std::uint32_t port = guests_port();
    write(programs_.back(), "CONNECT " + std::to_string(port) + (choices_.once_in(8) ? "" : "\n"));
  }

  static void write(const Fd& program, std::string_view text) {
    vsock::testing::write_text(program, text);
  }

  void act() {
    const unsigned kind = choices_.below(12);
    if (kind < 5) return send_packet();
    if (kind == 5) return connect();
    if (kind == 6) {
      const std::uint32_t port = 200 + choices_.below(3);
      if (!bench_.listened.erase(port)) bench_.listened.insert(port);
      return;
    }
    if (kind == 7 && choices_.once_in(4)) {
      credits_.clear();
      return bench_.forget();
    }
    if (kind == 8) {
      bench_.now += std::chrono::seconds(choices_.below(40));
      return;
    }
    if (programs_.empty()) return;
    const std::size_t which = choices_.below(256) % programs_.size();
    Fd& program = programs_[which];
    switch (kind) {
      case 9:
        if (choices_.once_in(2)) return write(program, choices_.text(choices_.below(40)));
        return write(program, std::string(choices_.below(256) * 300u, 'p'));
      case 10:
        (void)vsock::testing::read_all(program);
        return;
      default:
        if (choices_.once_in(2)) {
          ::shutdown(program.get(), choices_.once_in(2) ? SHUT_RD : SHUT_WR);
        } else {
          programs_.erase(programs_.begin() + static_cast<std::ptrdiff_t>(which));
        }
    }
  }

  void settle() {
    bench_.pump();
    check(!bench_.spins);
    check(bench_.exchange.size() <= most_);
    for (auto& [port, end] : std::exchange(bench_.accepted, {}))
      programs_.push_back(std::move(end));
    for (const vsock::testing::Packet& packet : bench_.take_packets())
      judge(packet);
  }

  void judge(const vsock::testing::Packet& packet) {
    const VsockHeader& header = packet.header;
    check(header.destination_cid == vsock::testing::kGuest);
    check(header.length == packet.data.size());
    Credit& credit = credits_[{header.destination_port, header.source_port}];
    if (header.operation == Operation::Request) credit = {};
    if (header.operation == Operation::Reset) return check(packet.data.empty());
    check(header.source_cid == machine::kHostCid && header.type == machine::kVsockStream);
    check(header.room == machine::kVsockRoom);
    check(packet.data.empty() == (header.operation != Operation::Data));
    credit.sent += header.length;
    check(header.operation != Operation::Data || credit.sent - credit.taken <= credit.room);
  }

  Choices& choices_;
  const std::size_t most_;
  vsock::testing::Bench bench_;
  std::vector<Fd> programs_;
  std::map<Ports, Credit> credits_;
};

int next_descriptor() { return Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)).get(); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  if (choices.once_in(16)) {
    const auto rest = choices.rest();
    option({reinterpret_cast<const char*>(rest.data()), rest.size()});
    return 0;
  }
  const int before = next_descriptor();
  const std::size_t most = 1 + choices.below(8);
  Scene(choices, most).run();
  check(next_descriptor() == before);
  return 0;
}
