// Arbitrary bytes as a client's stream, as a payload to parse, and as a payload to frame. The first
// byte says how the stream is cut into reads and how the link is set up.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "check.h"
#include "rsp/framing.h"
#include "rsp/link.h"
#include "rsp/reply.h"
#include "rsp/request.h"
#include "rsp/request_description.h"

namespace {

using namespace ringside;
using fuzz::check;

constexpr std::size_t kLimit = 256;

void serve(std::string_view stream, std::size_t read_size, bool reads_replies) {
  rsp::Link link(kLimit);
  while (!stream.empty()) {
    const std::size_t size = std::min(read_size, stream.size());
    std::string_view input = stream.substr(0, size);
    stream.remove_prefix(size);
    while (auto event = link.receive(input)) {
      if (event->kind != rsp::Event::Kind::Packet) continue;
      const rsp::Request request = rsp::parse(event->payload);
      link.send(rsp::describe(request).substr(0, kLimit));
      if (std::holds_alternative<rsp::StartNoAckMode>(request)) link.start_no_ack_mode();
    }
    check(link.output().size() <= 6 * kLimit);
    if (reads_replies) {
      link.wrote(link.output().size());
    } else {
      link.wrote(std::min<std::size_t>(link.output().size(), 3));
    }
  }
}

void round_trip(std::string_view payload, rsp::RunLengthOutput output,
                rsp::Decoder::RunLengths input) {
  std::string frame;
  rsp::append_frame(frame, payload, output);
  rsp::Decoder decoder(2 * payload.size() + 1, input);
  std::string_view bytes = frame;
  const auto event = decoder.next(bytes);
  check(event && event->kind == rsp::Event::Kind::Packet && event->payload == payload);
  check(bytes.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned mode = data[0];
  serve(text, 1 + (mode & 0x3f), (mode & 0x40) != 0);
  check(!rsp::describe(rsp::parse(text)).empty());
  round_trip(text, rsp::RunLengthOutput::Off, rsp::Decoder::RunLengths::Literal);
  round_trip(text, rsp::RunLengthOutput::On, rsp::Decoder::RunLengths::Expand);
  return 0;
}
