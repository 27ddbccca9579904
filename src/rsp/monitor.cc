// qRcmd. GDB manual, "General Query Packets".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {

Request parse_monitor(std::string_view payload) {
  Fields fields(payload);
  if (!fields.take("qRcmd,")) return Malformed{"qRcmd wants ,command"};
  const auto text = fields.hex_bytes();
  if (!text) return Malformed{"qRcmd wants a command in pairs of hex digits"};
  Monitor monitor;
  monitor.command.reserve(text->size());
  for (const std::byte byte : *text)
    monitor.command += static_cast<char>(byte);
  return monitor;
}

}  // namespace ringside::rsp
