-- What a mail says is kept once: its text and its HTML are made of it when it is handed over.
-- Of a mail that was written before, the text stays as it was, block by block.
alter table mails add column content json;
update mails set content = json_build_object(
  'name', substring(text_body from '^Hello ([^\n]*),\n'),
  'paragraphs', string_to_array(regexp_replace(text_body, '^Hello [^\n]*,\n\n|\n\nBodega\n$', '', 'g'), E'\n\n')
) where text_body is not null;
alter table mails drop column text_body, drop column html_body, add check (holds_code or content is not null);
