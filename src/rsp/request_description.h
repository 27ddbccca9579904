// A request in words with all its fields, for tests and for the log of a conversation. Pure.
#pragma once

#include <string>

#include "rsp/request.h"

namespace ringside::rsp {

std::string describe(const Request& request);

}  // namespace ringside::rsp
