// Seconds since 1970 as a date in the proleptic Gregorian calendar, and back.
#pragma once

#include <cstdint>

namespace ringside::machine {

struct CivilTime {
  std::int64_t year = 1970;
  unsigned month = 1, day = 1;  // from 1
  unsigned hour = 0, minute = 0, second = 0;
  unsigned weekday = 0;  // 0 is Sunday
};

CivilTime civil_time(std::int64_t seconds);
// Out-of-range fields carry over (the 31st of a month of 30 days is the 1st of the next).
std::int64_t seconds_of(const CivilTime& time);

}  // namespace ringside::machine
