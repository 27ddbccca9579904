// What is sent arrives, whole and in order, however it is cut, however little room the guest has
// and however slowly programs read: random connections in both directions, some at a time.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

#include "vsock/testing/bench.h"

namespace ringside::vsock {
namespace {

using testing::Bench, testing::Operation, testing::Packet, testing::VsockHeader;

constexpr std::uint32_t kSends = 2, kBoth = 3;

std::string random_text(std::minstd_rand& random, std::size_t size) {
  std::string text(size, ' ');
  for (char& c : text)
    c = static_cast<char>(random());
  return text;
}

// A connection with what either end has to say, and what it has heard.
struct Stream {
  std::uint32_t guest = 0, host = 0;
  Fd program;
  std::string line;  // that the program gets before anything else
  std::string guests, programs;
  std::size_t guest_sent = 0, program_sent = 0;
  std::string heard_by_guest, heard_by_program;
  std::uint32_t guests_room = 0, taken = 0;  // the guest's buffer
  std::uint32_t hosts_room = 0, hosts_taken = 0;
  bool guest_said_end = false, guest_heard_end = false, program_heard_end = false;
  bool program_said_end = false;
  bool is_over = false;  // the guest knows of no connection any more

  bool is_done() const {
    return guest_heard_end && program_heard_end && heard_by_guest.size() == programs.size();
  }
};

class Streams {
 public:
  explicit Streams(unsigned seed) : random_(seed) {}

  void run() {
    const std::size_t count = 1 + random_() % 4;
    for (std::size_t i = 0; i < count; ++i)
      begin(static_cast<std::uint32_t>(100 + i));
    for (unsigned round = 0; !all_done(); ++round) {
      ASSERT_LT(round, 2'000'000u) << "it stands still";
      ASSERT_FALSE(::testing::Test::HasFatalFailure());
      act(*std::next(streams_.begin(), static_cast<int>(random_() % streams_.size())));
    }
    for (Stream& stream : streams_) {
      EXPECT_EQ(stream.heard_by_guest, stream.programs);
      EXPECT_EQ(stream.heard_by_program, stream.line + stream.guests);
      stream.program.reset();
    }
    bench_.pump();
    hear();
    EXPECT_EQ(bench_.exchange.size(), 0u);
    EXPECT_FALSE(bench_.spins);
  }

 private:
  std::size_t up_to(std::size_t most) { return random_() % (most + 1); }

  void begin(std::uint32_t port) {
    constexpr std::uint32_t kRooms[] = {1, 7, 100, 4096, 65536, 1u << 20};
    Stream stream;
    stream.guests_room = kRooms[random_() % std::size(kRooms)];
    const std::size_t most = std::min<std::size_t>(300'000, stream.guests_room * 300ul);
    stream.guests = random_text(random_, up_to(300'000));
    stream.programs = random_text(random_, up_to(most));
    stream.guest = port;
    if (random_() % 2 == 0) {
      stream.host = port + 1000;
      bench_.listened.insert(stream.host);
      send(stream, Operation::Request);
      stream.program = std::move(bench_.accepted.back().second);
    } else {
      stream.program = bench_.connect();
      testing::write_text(stream.program, "CONNECT " + std::to_string(port) + "\n");
      bench_.pump();
      stream.host = bench_.packets.back().header.source_port;
      stream.line = "OK " + std::to_string(stream.host) + "\n";
      take_credit(stream, bench_.packets.back().header);
      bench_.packets.pop_back();
      send(stream, Operation::Response);
    }
    streams_.push_back(std::move(stream));
    hear();
  }

  static void take_credit(Stream& stream, const VsockHeader& header) {
    stream.hosts_room = header.room;
    stream.hosts_taken = header.taken;
  }

  void send(Stream& stream, Operation operation, std::string_view data = {}) {
    VsockHeader header = bench_.header(operation, stream.guest, stream.host);
    header.room = stream.guests_room;
    header.taken = stream.taken;
    header.flags = operation == Operation::Shutdown ? kSends : 0;
    bench_.send(header, data);
  }

  void act(Stream& stream) {
    switch (random_() % 5) {
      case 0: {
        const std::size_t credit = stream.hosts_room - (stream.guest_sent - stream.hosts_taken);
        const std::size_t size =
            std::min({up_to(70'000), credit, stream.guests.size() - stream.guest_sent});
        const std::string_view data =
            std::string_view(stream.guests).substr(stream.guest_sent, size);
        stream.guest_sent += size;
        if (size != 0) send(stream, Operation::Data, data);
        if (stream.guest_sent < stream.guests.size() || stream.guest_said_end) break;
        stream.guest_said_end = true;
        send(stream, Operation::Shutdown);
        break;
      }
      case 1:
        if (stream.is_over) break;
        stream.taken +=
            static_cast<std::uint32_t>(up_to(stream.heard_by_guest.size() - stream.taken));
        send(stream, Operation::CreditUpdate);
        break;
      case 2: {
        const std::size_t size =
            std::min(up_to(50'000), stream.programs.size() - stream.program_sent);
        const ssize_t done = ::send(
            stream.program.get(), stream.programs.data() + stream.program_sent, size, MSG_NOSIGNAL);
        if (done > 0) stream.program_sent += static_cast<std::size_t>(done);
        if (stream.program_sent < stream.programs.size() || stream.program_said_end) break;
        stream.program_said_end = true;
        ::shutdown(stream.program.get(), SHUT_WR);
        break;
      }
      case 3: {
        std::string room(1 + up_to(100'000), ' ');
        const ssize_t done = ::recv(stream.program.get(), room.data(), room.size(), 0);
        if (done > 0) stream.heard_by_program.append(room, 0, static_cast<std::size_t>(done));
        stream.program_heard_end |= done == 0;
        break;
      }
      default:
        (void)bench_.step();
    }
    hear();
  }

  void hear() {
    for (const Packet& packet : bench_.take_packets()) {
      const auto found = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& stream) {
        return stream.guest == packet.header.destination_port &&
               stream.host == packet.header.source_port;
      });
      ASSERT_NE(found, streams_.end());
      Stream& stream = *found;
      take_credit(stream, packet.header);
      if (packet.header.operation == Operation::Data) {
        EXPECT_FALSE(stream.guest_heard_end);
        stream.heard_by_guest += packet.data;
        ASSERT_LE(stream.heard_by_guest.size() - stream.taken, stream.guests_room);
      } else if (packet.header.operation == Operation::Shutdown) {
        stream.guest_heard_end |= (packet.header.flags & kSends) != 0;
        if (packet.header.flags != kBoth) continue;
        send(stream, Operation::Reset);
        stream.is_over = true;
      } else {
        ASSERT_NE(packet.header.operation, Operation::Reset);
      }
    }
  }

  bool all_done() const {
    return std::all_of(streams_.begin(), streams_.end(),
                       [](const Stream& stream) { return stream.is_done(); });
  }

  std::minstd_rand random_;
  Bench bench_;
  std::list<Stream> streams_;
};

class StreamsTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(StreamsTest, ArriveWholeAndInOrder) { Streams(GetParam()).run(); }

INSTANTIATE_TEST_SUITE_P(Seeds, StreamsTest, ::testing::Range(1u, 31u));

}  // namespace
}  // namespace ringside::vsock
