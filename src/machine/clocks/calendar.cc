#include "machine/clocks/calendar.h"

namespace ringside::machine {
namespace {

constexpr std::int64_t kSecondsPerDay = 86400;

constexpr std::int64_t divide_down(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// Days from 1970-01-01 to January 1st of `year`.
constexpr std::int64_t days_before_year(std::int64_t year) {
  const std::int64_t y = year - 1;
  return 365 * (year - 1970) + (divide_down(y, 4) - 492) - (divide_down(y, 100) - 19) +
         (divide_down(y, 400) - 4);
}

constexpr bool is_leap(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

constexpr unsigned days_in_month(std::int64_t year, unsigned month) {
  constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

}  // namespace

CivilTime civil_time(std::int64_t seconds) {
  std::int64_t days = divide_down(seconds, kSecondsPerDay);
  const auto in_day = static_cast<unsigned>(seconds - days * kSecondsPerDay);
  CivilTime time;
  time.hour = in_day / 3600;
  time.minute = in_day / 60 % 60;
  time.second = in_day % 60;
  time.weekday = static_cast<unsigned>(((days + 4) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
  time.year = 1970 + divide_down(days * 400, 146097);
  while (days_before_year(time.year) > days)
    --time.year;
  while (days_before_year(time.year + 1) <= days)
    ++time.year;
  days -= days_before_year(time.year);
  while (days >= days_in_month(time.year, time.month)) {
    days -= days_in_month(time.year, time.month++);
  }
  time.day = static_cast<unsigned>(days) + 1;
  return time;
}

std::int64_t seconds_of(const CivilTime& time) {
  std::int64_t days = days_before_year(time.year);
  for (unsigned month = 1; month < time.month && month <= 12; ++month) {
    days += days_in_month(time.year, month);
  }
  days += static_cast<std::int64_t>(time.day) - 1;
  return days * kSecondsPerDay + time.hour * 3600 + time.minute * 60 + time.second;
}

}  // namespace ringside::machine
