// qXfer:OBJECT:read, qOffsets. GDB manual, "General Query Packets".
#include "rsp/families.h"
#include "rsp/fields.h"

namespace ringside::rsp {

Request parse_transfer(std::string_view payload) {
  if (payload == "qOffsets") return QueryOffsets{};
  Fields fields(payload);
  if (!fields.take("qXfer:")) return Malformed{"qXfer wants :object:read:annex:offset,length"};
  ReadTransfer transfer;
  transfer.object = fields.take_until(':');
  const std::string_view operation = fields.take_until(':');
  // Writing is a packet that we do not have.
  if (operation == "write") return Unknown{};
  const std::size_t colon = fields.rest().rfind(':');
  if (transfer.object.empty() || operation != "read" || colon == std::string_view::npos) {
    return Malformed{"qXfer wants :object:read:annex:offset,length"};
  }
  transfer.annex = fields.rest().substr(0, colon);
  fields.skip(colon + 1);
  const auto offset = fields.hex();
  if (!offset || !fields.take(',')) return Malformed{"qXfer wants offset,length"};
  const auto length = fields.hex();
  if (!length || !fields.at_end()) return Malformed{"qXfer wants offset,length"};
  transfer.offset = *offset;
  transfer.length = *length;
  return transfer;
}

}  // namespace ringside::rsp
