#include "rsp/file_io.h"

#include "rsp/fields.h"

namespace ringside::rsp {

std::optional<CallResult> parse_call_result(std::string_view payload) {
  Fields fields(payload);
  if (!fields.take('F')) return std::nullopt;
  fields.take('-');
  if (!fields.hex()) return std::nullopt;
  if (fields.at_end()) return CallResult::Returned;
  if (!fields.take(',')) return std::nullopt;
  fields.take('-');
  if (!fields.hex()) return std::nullopt;
  if (fields.at_end()) return CallResult::Returned;
  if (!fields.take(",C") || !fields.at_end()) return std::nullopt;
  return CallResult::Interrupted;
}

}  // namespace ringside::rsp
