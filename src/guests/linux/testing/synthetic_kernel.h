// A Linux kernel for tests that is nothing but its tables: symbols, type information, lists of
// tasks and modules, in a fake machine's memory. A test puts lies into it.
//
// Of 64 bits:
//   0x200000   the image, 4 MiB, at 0xffffffff81000000 and up: text, symbols, types, data
//   0          all of memory, 8 MiB, at kDirect; behind it, where memory ends, a device
// Of 32 bits:
//   0x1000000  the image, at 0xc1000000, and 8 MiB from 0 on at 0xc0000000, with a device behind
//
// One without types has neither them nor symbols of its data: what it exports, what its code
// mentions and what its tasks look like has to do.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "guests/linux/kernel_image.h"
#include "hypervisor/testing/fake_vm.h"

namespace ringside::guests::testing {

// Appends the parts of a table.
class TableWriter {
 public:
  template <typename T>
  TableWriter& put(T value) {
    const auto* bytes = reinterpret_cast<const char*>(&value);
    bytes_.append(bytes, sizeof value);
    return *this;
  }
  TableWriter& text(std::string_view text) {
    bytes_ += text;
    bytes_ += '\0';
    return *this;
  }
  TableWriter& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  TableWriter& align(Word word = Word::Bits64) {
    const std::size_t size = size_of(word);
    bytes_.resize((bytes_.size() + size - 1) / size * size);
    return *this;
  }
  TableWriter& number(std::uint64_t value, Word word) {
    return raw({reinterpret_cast<const char*>(&value), size_of(word)});
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// BTF as pahole writes it.
class BtfWriter {
 public:
  struct Member {
    std::string name;
    std::uint32_t type, offset;  // in bytes
  };
  std::uint32_t integer(std::uint32_t size) {
    return add("int", 1u << 24, size, TableWriter().put(size * 8));
  }
  std::uint32_t pointer() { return add("", 2u << 24, 0, {}); }
  std::uint32_t array(std::uint32_t element, std::uint32_t count) {
    return add("", 3u << 24, 0, TableWriter().put(element).put(element).put(count));
  }
  std::uint32_t other_name(std::uint32_t type) { return add("other", 8u << 24, type, {}); }
  std::uint32_t structure(std::string_view name, std::uint32_t size,
                          const std::vector<Member>& members) {
    TableWriter body;
    for (const Member& member : members)
      body.put(string(member.name)).put(member.type).put(member.offset * 8);
    return add(name, 4u << 24 | static_cast<std::uint32_t>(members.size()), size, body);
  }
  std::uint32_t next() const { return count_ + 1; }
  std::string bytes() const {
    TableWriter all;
    all.put<std::uint16_t>(0xeb9f).put<std::uint16_t>(1).put<std::uint32_t>(24);
    all.put<std::uint32_t>(0).put(static_cast<std::uint32_t>(types_.bytes().size()));
    all.put(static_cast<std::uint32_t>(types_.bytes().size()));
    all.put(static_cast<std::uint32_t>(strings_.size()));
    return all.raw(types_.bytes()).raw(strings_).bytes();
  }

 private:
  std::uint32_t string(std::string_view text) {
    if (text.empty()) return 0;
    const auto at = static_cast<std::uint32_t>(strings_.size());
    strings_ += text;
    strings_ += '\0';
    return at;
  }
  std::uint32_t add(std::string_view name, std::uint32_t info, std::uint32_t size,
                    const TableWriter& body) {
    types_.put(string(name)).put(info).put(size).raw(body.bytes());
    return ++count_;
  }
  TableWriter types_;
  std::string strings_ = std::string(1, '\0');
  std::uint32_t count_ = 0;
};

struct SymbolOptions {
  bool offsets_first = false;  // as before 6.4
  bool sequence = false;       // with a table between markers and tokens
  Word word = Word::Bits64;
};

// The tables of symbols, as scripts/kallsyms.c makes them but for the compression.
inline std::string symbol_tables(const std::map<std::uint64_t, std::string>& symbols,
                                 std::uint64_t base, const SymbolOptions& options = {}) {
  TableWriter names, markers, offsets, tokens, index;
  std::size_t count = 0;
  for (const auto& [address, name] : symbols) {
    if (count++ % 256 == 0) markers.put(static_cast<std::uint32_t>(names.bytes().size()));
    names.put(static_cast<std::uint8_t>(name.size() + 1)).raw("T").raw(name);
    // Only 64-bit kernels have addresses from 0 on, of each CPU's own memory.
    const bool is_relative = options.word == Word::Bits32;
    const auto offset = is_relative      ? address - base
                        : address < base ? address
                                         : base - 1 - address;
    offsets.put(static_cast<std::int32_t>(offset));
  }
  for (unsigned token = 0; token < 256; ++token) {
    index.put(static_cast<std::uint16_t>(tokens.bytes().size()));
    const bool shown = token > ' ' && token < 127;
    tokens.text(shown ? std::string(1, static_cast<char>(token)) : std::string("##"));
  }
  TableWriter all;
  const Word word = options.word;
  const auto put_offsets = [&] { all.raw(offsets.bytes()).align(word).number(base, word); };
  if (options.offsets_first) put_offsets();
  all.number(symbols.size(), word).raw(names.bytes()).align(word);
  all.raw(markers.bytes()).align(word);
  if (options.sequence) all.raw(std::string(3 * symbols.size(), '\x11')).align(word);
  all.raw(tokens.bytes()).align(word).raw(index.bytes()).align(word);
  if (!options.offsets_first) put_offsets();
  return all.bytes();
}

// The tables of what a kernel exports: entries, and behind them their names.
inline std::string export_table(const std::map<std::string, std::uint64_t>& exports,
                                std::uint64_t base, bool as_distances = true) {
  TableWriter entries, names;
  names.text("");
  const std::uint64_t names_at = base + 12 * exports.size();
  for (const auto& [name, address] : exports) {
    const auto put = [&](std::uint64_t value) {
      const std::uint64_t here = as_distances ? base + entries.bytes().size() : 0;
      entries.put(static_cast<std::uint32_t>(value - here));
    };
    put(address);
    put(names_at + names.bytes().size());
    put(names_at);
    names.text(name);
  }
  return entries.raw(names.bytes()).bytes();
}

struct KernelFlavour {
  Word word = Word::Bits64;
  bool has_types = true;
};
inline std::ostream& operator<<(std::ostream& out, const KernelFlavour& flavour) {
  return out << 8 * size_of(flavour.word) << " bits"
             << (flavour.has_types ? "" : ", without types");
}

class SyntheticKernel {
 public:
  static constexpr std::uint64_t kImage = 0x200000, kImageSize = 0x400000;
  static constexpr std::uint64_t kText = kImageMap.value + kLinkedAt;
  static constexpr std::uint64_t kSymbols = 0x100000, kTypes = 0x200000, kData = 0x300000;
  static constexpr std::uint64_t kDirect = 0xffff888000000000, kDevice = kDirect + 0x800000;
  static constexpr std::uint64_t kTask = 256;  // sizes
  static constexpr std::uint64_t kModule = 256;

  // `moved_by`: from where it was linked to be; of 32-bit kernels.
  explicit SyntheticKernel(unsigned vcpus = 2, KernelFlavour flavour = {},
                           std::uint64_t moved_by = 0)
      : word(flavour.word),
        has_types(flavour.has_types),
        text(word == Word::Bits64 ? kText : 0xc0000000 + kLinkedAt + moved_by),
        image(word == Word::Bits64 ? kImage : kLinkedAt + moved_by),
        direct(word == Word::Bits64 ? kDirect : 0xc0000000),
        device(direct + 0x800000),
        vm(vcpus) {
    vm.memory().add_ram({0}, 0x800000);
    vm.memory().add_device({0x10000000}, 0x200000);
    if (word == Word::Bits64) {
      map_64_bits();
    } else {
      vm.memory().add_ram({image}, kImageSize);
      map_32_bits();
    }
    for (std::uint32_t i = 0; i < vcpus; ++i)
      begin_vcpu(i);
    symbols[text] = "_text";
    symbols[text + 0x80000] = "_etext";
    symbols[text + 0x1000] = "do_init_module";
    symbols[text + 0x2000] = "free_module";
    for (std::uint64_t i = 0; i < 600; ++i)
      symbols[text + 0x10000 + i * 16] = "filler_" + std::to_string(i);
    add_symbols();
    // Each CPU's own memory, and what it runs.
    poke(data(0x3800), std::uint32_t{vcpus});
    for (std::uint32_t i = 0; i < vcpus; ++i) {
      poke_word(data(0x3000 + size_of(word) * i), cpu_base(i));
      run(i, data(0x1000));
    }
    put(data(0x4000), "Linux version 6.1.0-synthetic (nobody)\n");
    list_at(data(0x1000) + 32);
    list_at(data(0x2000));
    task(data(0x1000), 0, 0, "swapper/0");
  }

  std::uint64_t data(std::uint64_t offset) const { return text + kData + offset; }
  // What is added to the address of each CPU's own data.
  std::uint64_t cpu_base(std::uint32_t cpu) const {
    const std::uint64_t own = direct + 0x600000 + cpu * 0x1000;
    return word == Word::Bits64 ? own : (own + 0x100 - data(0x7000)) & 0xffffffff;
  }

  // Writes symbols and types. After the symbols are as they shall be.
  void build(SymbolOptions options = {}, std::string types = {}) {
    options.word = word;
    if (types.empty()) types = usual_types(word);
    if (has_types) {
      symbols[text + kTypes + types.size()] = "__stop_BTF";
      put(text + kTypes, types);
    }
    put(text + kSymbols, symbol_tables(symbols, text, options));
  }

  static std::string usual_types(Word word = Word::Bits64) {
    const std::uint32_t size = size_of(word);
    BtfWriter w;
    const auto u32 = w.integer(4), u8 = w.integer(1), pointer = w.pointer();
    const auto list =
        w.structure("list_head", 2 * size, {{"next", pointer, 0}, {"prev", pointer, size}});
    const auto comm = w.array(u8, 16), name = w.array(u8, 64 - size);
    const auto thread = w.structure("thread_struct", 24, {{"sp", w.other_name(pointer), 8}});
    w.structure("task_struct", kTask,
                {{"__state", u32, 0},
                 {"exit_state", u32, 4},
                 {"pid", u32, 8},
                 {"tgid", u32, 12},
                 {"comm", comm, 16},
                 {"tasks", list, 32},
                 {"thread_node", list, 48},
                 {"signal", pointer, 64},
                 {"stack", pointer, 72},
                 {"thread", thread, 80},
                 {"mm", pointer, 104}});
    w.structure("signal_struct", 64, {{"thread_head", list, 16}});
    const auto memory =
        w.structure("module_memory", 2 * size, {{"base", pointer, 0}, {"size", u32, size}});
    const auto memories = w.array(memory, 7);
    w.structure("module", kModule,
                {{"state", u32, 0},
                 {"list", list, size},
                 {"name", name, 3 * size},
                 {"mem", memories, 80},
                 {"sect_attrs", pointer, 192}});
    const auto attribute = w.structure("attribute", size, {{"name", pointer, 0}});
    const auto binary = w.structure("bin_attribute", 2 * size, {{"attr", attribute, 0}});
    const auto section = w.structure("module_sect_attr", 3 * size,
                                     {{"battr", binary, 0}, {"address", pointer, 2 * size}});
    const auto sections = w.array(section, 0);
    w.structure("module_sect_attrs", 16 + size,
                {{"nsections", u32, 16}, {"attrs", sections, 16 + size}});
    return w.bytes();
  }

  // A task at this address, not in any list. It sleeps on a stack that others have too.
  void task(std::uint64_t at, std::uint32_t pid, std::uint32_t tgid, std::string_view comm,
            std::uint32_t state = 0) {
    poke(at, state);
    poke(at + 8, pid);
    poke(at + 12, tgid);
    put(at + 16, comm);
    poke(at + 16 + std::min<std::size_t>(comm.size(), 15), '\0');
    poke_word(at + 72, direct + 0x640000);
    poke_word(at + 88, direct + 0x641800);
  }
  // A process of one thread in the list of tasks, with a signal structure behind its task.
  void process(std::uint64_t at, std::uint32_t pid, std::string_view comm,
               std::uint32_t state = 1) {
    task(at, pid, pid, comm, state);
    poke_word(at + 64, at + kTask);
    list_at(at + kTask + 16);
    link(at + kTask + 16, at + 48);
    link(data(0x1000) + 32, at + 32);
  }
  void thread(std::uint64_t leader, std::uint64_t at, std::uint32_t pid, std::string_view comm) {
    task(at, pid, get(leader + 12), comm, 1);
    poke_word(at + 64, leader + kTask);
    link(leader + kTask + 16, at + 48);
  }
  void run(std::uint32_t cpu, std::uint64_t task_at) {
    poke_word(direct + 0x600000 + cpu * 0x1000 + 0x100, task_at);
  }
  // A module with these sections.
  void module(std::uint64_t at, std::string_view name, std::uint32_t state,
              const std::vector<std::pair<std::string, std::uint64_t>>& sections) {
    const std::uint64_t size = size_of(word);
    poke(at, state);
    put(at + 3 * size, name);
    poke_word(at + 80, sections.empty() ? std::uint64_t{0} : sections.front().second);
    poke(at + 80 + size, std::uint32_t{0x1000});
    const std::uint64_t attributes = at + kModule, names = attributes + 0x400;
    poke_word(at + 192, attributes);
    put(names, "sections");
    poke_word(attributes, names);
    poke(attributes + 16, static_cast<std::uint32_t>(sections.size()));
    for (std::size_t i = 0; i < sections.size(); ++i) {
      const std::uint64_t text_at = names + (i + 1) * 32, element = attributes + 16 + size;
      put(text_at, sections[i].first);
      poke_word(element + i * 3 * size, text_at);
      poke_word(element + i * 3 * size + 2 * size, sections[i].second);
    }
    link(data(0x2000), at + size);
  }

  // ---- by the kernel's addresses
  Gpa where(std::uint64_t address) const {
    return {address >= text ? address - text + image : address - direct};
  }
  template <typename T>
  void poke(std::uint64_t address, T value) {
    put(address, {reinterpret_cast<const char*>(&value), sizeof value});
  }
  void poke_word(std::uint64_t address, std::uint64_t value) {
    put(address, {reinterpret_cast<const char*>(&value), size_of(word)});
  }
  void put(std::uint64_t address, std::string_view bytes) {
    for (const char c : bytes)
      vm.memory().poke(where(address++), c);
  }
  std::uint32_t get(std::uint64_t address) {
    return vm.memory().peek<std::uint32_t>(where(address));
  }
  void list_at(std::uint64_t head) {
    poke_word(head, head);
    poke_word(head + size_of(word), head);
  }
  // At the end of a list.
  void link(std::uint64_t head, std::uint64_t node) {
    const unsigned size = size_of(word);
    const std::uint64_t last = word == Word::Bits64
                                   ? vm.memory().peek<std::uint64_t>(where(head + size))
                                   : get(head + size);
    poke_word(last, node);
    poke_word(node, head);
    poke_word(node + size, last);
    poke_word(head + size, node);
  }

  const Word word;
  const bool has_types;
  const std::uint64_t text, image, direct, device;
  hypervisor::testing::FakeVm vm;
  std::map<std::uint64_t, std::string> symbols;

 private:
  void map_64_bits() {
    entry(0x1000 + 511 * 8, 0x2003);
    entry(0x2000 + 510 * 8, 0x3003);
    entry(0x3000 + 8 * 8, 0x200083);
    entry(0x3000 + 9 * 8, 0x400083);
    entry(0x1000 + 273 * 8, 0x4003);
    entry(0x4000, 0x5003);
    for (std::uint64_t i = 0; i < 4; ++i)
      entry(0x5000 + i * 8, i << 21 | 0x83);
    entry(0x5000 + 4 * 8, 0x10000083);
  }
  // Pages of 4 MiB, without PAE: the first eight, the device, the image.
  void map_32_bits() {
    const auto page = [&](std::uint64_t linear, std::uint32_t physical) {
      vm.memory().poke(Gpa{0x1000 + (linear >> 22) * 4}, physical | 0x83);
    };
    page(direct, 0);
    page(direct + 0x400000, 0x400000);
    page(device, 0x10000000);
    page(text, static_cast<std::uint32_t>(image));
  }
  void begin_vcpu(std::uint32_t i) {
    vm.make_active({i});
    x86::CpuState& cpu = vm.vcpu({i}).cpu;
    cpu.cr0 = x86::cr0::PE | x86::cr0::PG;
    cpu.cr3 = 0x1000;
    cpu.rip = text + 0x123;
    if (word == Word::Bits64) {
      cpu.cr4 = x86::cr4::PAE;
      cpu.efer = x86::efer::LME | x86::efer::LMA;
      cpu.seg(x86::SegmentName::Cs).attributes = 0xa09b;
      cpu.seg(x86::SegmentName::Gs).base = cpu_base(i);
      return;
    }
    cpu.cr4 = x86::cr4::PSE;
    cpu.seg(x86::SegmentName::Cs) = {0x60, 0xc09b, 0xffffffff, 0};
    cpu.seg(x86::SegmentName::Ss) = {0x68, 0xc093, 0xffffffff, 0};
    cpu.seg(x86::SegmentName::Fs).base = cpu_base(i);
    // The entry of the CPU's own memory, and the gate of page faults.
    const std::uint64_t base = cpu_base(i), descriptors = direct + 0x5f0000 + i * 0x1000;
    cpu.gdtr = {descriptors, 0xff};
    poke(descriptors + std::uint64_t{27} * 8,
         0x0000930000000000 | (base & 0xffffff) << 16 | base >> 24 << 56);
    cpu.idtr = {direct + 0x5e0000, 0x7ff};
    const std::uint64_t handler = text + 0x200;
    poke(direct + 0x5e0000 + 14 * 8, 0x8e0000600000 | (handler & 0xffff) | handler >> 16 << 48);
  }
  void add_symbols() {
    const bool is_wide = word == Word::Bits64;
    const std::map<std::string, std::uint64_t> known = {
        {"__per_cpu_offset", data(0x3000)},
        {"current_task", is_wide ? 0x100 : data(0x7000)},
        {"init_task", data(0x1000)},
        {"nr_cpu_ids", data(0x3800)}};
    if (has_types) {
      for (const auto& [name, address] : known)
        symbols[address] = name;
      symbols[text + kTypes] = "__start_BTF";
      symbols[data(0x2000)] = "modules";
      symbols[data(0x4000)] = "linux_banner";
      return;
    }
    put(data(0x8000), export_table(known, data(0x8000)));
    const auto function = [&](std::uint64_t offset, const char* name, std::string_view code) {
      symbols[text + offset] = name;
      put(text + offset, code);
    };
    using namespace std::string_view_literals;
    // mov [rdi + 88], rsp; mov rsp, [rsi + 88]; and mov [eax + 88], esp; mov esp, [edx + 88].
    function(0x3000, "__switch_to_asm",
             is_wide ? "\x48\x89\xa7\x58\0\0\0\x48\x8b\xa6\x58\0\0\0"sv
                     : "\x89\xa0\x58\0\0\0\x8b\xa2\x58\0\0\0"sv);
    // mov dword [rdx + 0], 1, and 2.
    function(0x3100, "schedule_timeout_interruptible", "\xc7\x42\0\1\0\0\0"sv);
    function(0x3200, "schedule_timeout_uninterruptible", "\xc7\x42\0\2\0\0\0"sv);
    const auto mention = [&](std::uint64_t offset, const char* name, std::uint64_t address) {
      // mov rax, N, sign-extended; and mov eax, N.
      function(offset, name, is_wide ? "\x48\xc7\xc0"sv : "\xb8"sv);
      poke(text + offset + (is_wide ? 3 : 1), static_cast<std::uint32_t>(address));
    };
    mention(0x3300, "find_module_all", data(0x2000));
    mention(0x3400, "paddr_vmcoreinfo_note", data(0x5000));
  }
  void entry(std::uint64_t where, std::uint64_t value) { vm.memory().poke(Gpa{where}, value); }
};

// The flavours that tests go through.
inline constexpr KernelFlavour kFlavours[] = {
    {Word::Bits64, true}, {Word::Bits64, false}, {Word::Bits32, true}, {Word::Bits32, false}};

}  // namespace ringside::guests::testing
