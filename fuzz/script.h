// What the targets with a machine share: an input is a script of lines. A line that begins with a
// control character is an event of the target's; any other is a packet, without its frame. For the
// targets alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hex.h"
#include "check.h"
#include "debug/server/server.h"
#include "rsp/framing.h"

namespace ringside::fuzz {

// The events that all of them have; 1 to 9, and those from 13 on, are each target's own. 10 ends a
// line.
inline constexpr unsigned char kMonitor = 11;  // the rest of the line is a monitor command
inline constexpr unsigned char kRaw = 12;      // the rest of the line is sent as it is

inline void send_raw(debug::Server& server, std::string_view bytes) {
  server.on_bytes(std::as_bytes(std::span(bytes)));
}

inline std::string framed(std::string_view payload) {
  std::string frame;
  rsp::append_frame(frame, payload, rsp::RunLengthOutput::Off);
  return frame;
}

// The packet of a monitor command.
inline std::string monitor_packet(std::string_view command) {
  return "qRcmd," + to_hex(std::as_bytes(std::span(command)));
}

inline void send_packet(debug::Server& server, std::string_view payload) {
  send_raw(server, framed(payload));
}

inline void send_monitor(debug::Server& server, std::string_view command) {
  send_packet(server, monitor_packet(command));
}

inline void take_all(debug::Server& server) {
  while (!server.output().empty())
    server.wrote(server.output().size());
}

// The client takes everything, and is replaced where the server closes the connection.
inline void take_output(debug::Server& server) {
  take_all(server);
  if (!server.wants_close()) return;
  server.on_disconnected();
  server.on_connected();
}

// Commands that persist, and a trace that is to go on, are all that a client can leave, and the
// next one can end them.
inline void end_what_persists(debug::Server& server) {
  server.on_connected();
  send_monitor(server, "forget");
  send_packet(server, "QTDisconnected:0");
  take_all(server);
  server.on_disconnected();
}

// One input: its first byte makes the scene, which plays the first lines of the rest. The client
// leaves its output lying now and then.
template <typename Scene>
void run_script(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 16384) return;
  Scene scene(data[0]);
  std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (unsigned lines = 0; !script.empty() && lines < 300; ++lines) {
    const std::size_t end = std::min(script.find('\n'), script.size());
    scene.play(script.substr(0, end));
    if (lines % 4 != 3) scene.take_output();
    script.remove_prefix(std::min(end + 1, script.size()));
  }
  scene.leave();
}

}  // namespace ringside::fuzz
